"""A Streamlit page that marks an uploaded photo and shows the probabilities.

streamlit run examples/streamlit_app.py
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from PIL import Image

import facial_expressions as fx

PHOTO = Path(__file__).with_name("astronaut.jpg")


@st.cache_resource
def open_recognizer() -> fx.ExpressionRecognizer:
    """Return one recognizer for all visitors."""
    return fx.load_recognizer()


def main() -> None:
    """Draw the page."""
    st.title("Facial expressions")
    upload = st.file_uploader("A photo", ["jpg", "jpeg", "png", "webp"])
    try:
        faces = open_recognizer().recognize(upload.getvalue() if upload else PHOTO)
    except fx.FacialExpressionsError as error:
        st.error(str(error))
        return
    st.image(fx.draw_faces(Image.open(upload or PHOTO).convert("RGB"), faces))
    st.write(f"{len(faces)} face(s)")
    for face in faces:
        st.bar_chart(dict(face.probabilities))


main()
