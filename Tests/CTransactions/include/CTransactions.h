// A transactional producer, which the Kafka module has no use for but its tests need: transactions leave gaps.
#ifndef CTRANSACTIONS_H
#define CTRANSACTIONS_H

/// Writes `count` records with the value "t" in one transaction and ends it, by commit or by abort: one offset more is
/// used for the marker. Blocks. Returns 0, or -1 after writing the reason to `error`.
int ctransactions_write(const char *brokers, const char *topic, int partition, int count, int commit, char *error,
                        int error_size);

#endif
