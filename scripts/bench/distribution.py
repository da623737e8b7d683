"""The distribution of ages, with each record counted."""

import bisect


class Distribution:
    """Ages with how many records have each."""

    def __init__(self):
        self.ages = []

    def add_partition(self, steps, covered, since):
        """Counts the records of a partition that were produced from `since` on.

        `steps` are (begin, first offset, next offset); `covered` are (next offset, when it was seen), ascending.
        """
        ends = [end for end, _ in covered]
        for begin, first, end in steps:
            while begin >= since and first < end:
                # The entry that covers the offset `first` is the first one whose next offset is beyond it.
                place = bisect.bisect_right(ends, first)
                upto = min(end, ends[place])
                self.ages.append((covered[place][1] - begin, upto - first))
                first = upto

    def records(self):
        return sum(count for _, count in self.ages)

    def quantile(self, share):
        """The least age that this share of the records does not exceed."""
        wanted = share * self.records()
        reached = 0
        for age, count in sorted(self.ages):
            reached += count
            if reached >= wanted:
                return age
        return self.ages and max(self.ages)[0]
