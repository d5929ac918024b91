"""2. The influencer: everything the attacker controls, in the order it is done."""
