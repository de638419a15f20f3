"""The drawing office of `bench/datasets/rendered.py`: one file per kind of class, and what all kinds share.

    streams    named random numbers of one class, the same on every numpy release
    style      how far from the source world an image looks: one number moves every nuisance factor
    canvas     coordinates, edges, the step from fine pixels to the final ones
    shapes, textures, glyphs, counts, hues     one kind of class each: coordinates -> ink
    paint      ink + colours + backdrop + camera -> uint8 images
"""
