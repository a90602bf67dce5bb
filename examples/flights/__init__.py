"""The whole loop on the flights that left New York in 2013: data, replay, report."""
