internal import CKafka

/// The partition that a producer chooses for a key, as it does without a given one: murmur2, as in Java.
/// - Parameter count: Of the topic's partitions, at least 1.
public func partition(ofKey key: some Collection<UInt8>, count: Int) -> Int32 {
    // The topic is for partitioners that ask whether a partition has a leader; this one does not.
    Array(key).withUnsafeBytes { key in
        rd_kafka_msg_partitioner_murmur2(nil, key.baseAddress, key.count, Int32(clamping: count), nil, nil)
    }
}
