# The output of `batch-layer audit`, with one line for all partitions that are in order, and one for those that Kafka has.
/^partition [0-9]+: offsets / {
    partitions++
    events += $6
    letters += $8
    gaps += $11
    next
}
!printed && partitions {
    printf "%d partitions, %d offsets: %d events, %d dead letters, %d without a record\n",
        partitions, events + letters + gaps, events, letters, gaps
    printed = 1
}
/^Kafka: partition [0-9]+ holds offsets / {
    compared++
    next
}
compared {
    printf "Kafka: %d partitions compared\n", compared
    compared = 0
}
{ print }
