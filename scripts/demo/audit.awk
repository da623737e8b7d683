# What `batch-layer audit` says, with the lines of partitions that are in order made one.
/^partition [0-9]+: offsets / {
    partitions++
    events += $6
    letters += $8
    gaps += $11
    next
}
!told && partitions {
    printf "%d partitions, %d offsets: %d events, %d dead letters, %d without a record\n",
        partitions, events + letters + gaps, events, letters, gaps
    told = 1
}
{ print }
