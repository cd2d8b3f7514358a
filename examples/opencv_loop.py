"""Recognise faces in an OpenCV loop. OpenCV gives BGR; this package takes RGB.

python examples/opencv_loop.py            # the first camera, in a window; Esc stops
python examples/opencv_loop.py clip.mp4   # a file, as text
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cv2
import numpy as np

import facial_expressions as fx

ESCAPE = 27


def main(arguments: Sequence[str]) -> int:
    """Read frames until the end of the file, or until Esc; return the exit code."""
    capture = cv2.VideoCapture(arguments[0] if arguments else 0)
    if not capture.isOpened():
        print("no camera or video to read", file=sys.stderr)
        return 1
    recognizer = fx.load_recognizer()
    while True:
        is_read, bgr = capture.read()
        if not is_read:
            break
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        faces = recognizer.recognize(rgb)
        if arguments:
            print([(face.expression, round(face.confidence, 2)) for face in faces])
            continue
        marked = fx.draw_faces(rgb, faces)
        cv2.imshow("expressions", cv2.cvtColor(np.asarray(marked), cv2.COLOR_RGB2BGR))
        if cv2.waitKey(1) == ESCAPE:
            break
    capture.release()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
