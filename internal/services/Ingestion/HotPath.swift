internal import HTTPServing

/// What `IngestionLoop` does with each event between its socket and Kafka: opened for `Benchmarks/Micro`, which measures it.
package struct IngestionHotPath {
    private var parser: EventParser
    private var record = EventRecord()
    private var stamp = EventStamp()

    /// Reads the clock, which a loop does for each event.
    package init(maximumBytes: Int) { parser = EventParser(maximumBytes: maximumBytes) }

    /// Makes the record of an event from the body that it came in. Returns the bytes of its value; nil where the event is refused.
    package mutating func build(_ body: UnsafeRawBufferPointer, tenant: String) -> Int? {
        guard let event = try? parser.parse(body) else { return nil }
        record.build(event, body: body, tenant: tenant, traceParent: nil, stamp: &stamp)
        return record.value.count
    }
}
