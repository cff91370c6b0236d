public import HTTPServing
public import Kafka

/// An event as topic `events` would carry it, for who sends it elsewhere.
public struct BuiltEvent: Sendable {
    /// Drawn, or as it was given; as JSON has it, without the quotes.
    public let id: String
    /// The body that endpoints get.
    public let value: [UInt8]
    /// CloudEvents' attributes and the tenant.
    public let headers: RecordHeaders
    /// Milliseconds since 1970.
    public let builtAt: Int64

    /// - Parameters:
    ///   - body: As `POST /events` takes it.
    ///   - maximumBytes: Of the body, and of what it becomes.
    /// Throws the problem to answer with, which names the field at fault.
    public init(_ body: [UInt8], tenant: String, maximumBytes: Int) throws(HTTPProblem) {
        var stamp = EventStamp()
        var record = EventRecord()
        let failure: HTTPProblem? = body.withUnsafeBytes { body in
            var parser = EventParser(maximumBytes: maximumBytes)
            do throws(HTTPProblem) {
                let event = try parser.parse(body)
                record.build(event, body: body, tenant: tenant, traceParent: nil, stamp: &stamp)
                try parser.checkSize(record.value.count)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        id = String(decoding: record.idJSON.dropFirst().dropLast(), as: UTF8.self)
        value = record.value
        headers = record.headers
        builtAt = stamp.now
    }
}
