"""Client libraries, translated into the ports' words."""
