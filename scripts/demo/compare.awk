# The lines of join.awk as a table for people.
BEGIN {
    print "              before the nightly run:              after it:"
    print "   window     count   average     p85              count   average     p85            change"
}
{
    printf "   %-3s %s %7d  %8.3f %7.2f %-11s  %7d  %8.3f %7.2f %-5s  %+6d  %+.3f km/h\n",
        $1, $1 == "24h" ? "     " : substr($2, 12, 5), $3, $4, $5, $6, $7, $8, $9, $10, $11, $3 ? $8 - $4 : 0
}
