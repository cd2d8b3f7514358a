"""Recognise faces in a FastAPI application of your own, without blocking its event loop.

uvicorn examples.fastapi_app:app
curl --data-binary @examples/astronaut.jpg http://127.0.0.1:8000/faces
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, HTTPException, Request

import facial_expressions as fx

AT_ONCE = 2

app = FastAPI()
recognizer = fx.load_recognizer(threads=1)
places = asyncio.Semaphore(AT_ONCE)


@app.post("/faces")
async def faces(request: Request) -> list[dict[str, Any]]:
    """Return the faces of the image in the body; other requests continue meanwhile."""
    body = await request.body()
    async with places:  # a recognizer may be used by several threads at once
        try:
            found = await asyncio.to_thread(recognizer.recognize, body)
        except fx.FacialExpressionsError as error:
            raise HTTPException(status_code=422, detail=str(error)) from error
    return [
        {"expression": face.expression, "confidence": face.confidence, "box": face.box.xyxy}
        for face in found
    ]
