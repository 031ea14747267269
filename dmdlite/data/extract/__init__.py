"""From raw clips to features: video.py decodes, face.py, voice.py and words.py measure, clip.py puts one clip together.

folder.py does so for a folder of clips. What is written is read by `dmdlite.load_features`.
"""
