"""What proves a finding, as files others can check: the frames themselves, comments, the chain of custody."""
