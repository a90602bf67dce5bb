"""What feedback says about a model, when people choose what they give feedback on.

A small share of predictions is drawn at random and asked about (audited). Those answers say how often each
kind of answer is wrong; everything volunteered is weighed so that it stands for the predictions it is like.
Arrays in, arrays out: numpy alone, no clock and no input or output.
"""
