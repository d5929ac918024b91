"""Influencer Backdoor Attack on Semantic Segmentation, ICLR 2024: its units, numbers, claims."""
