"""A printed sticker in a photographed scene: from geometry and light to the camera's bytes."""
