internal import HTTPServing
package import ServiceSupport

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

    /// Makes the records of a batch of events. Returns the bytes of their values; nil where the batch is refused.
    package mutating func buildBatch(
        _ body: UnsafeRawBufferPointer, tenant: String, limits: EventSettings
    ) -> Int? {
        guard let places = try? parser.parseBatch(body, limits) else { return nil }
        var bytes = 0
        for place in places {
            guard let built = build(UnsafeRawBufferPointer(rebasing: body[place]), tenant: tenant) else { return nil }
            bytes += built
        }
        return bytes
    }
}
