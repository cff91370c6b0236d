internal import CReferences

/// What the bare C libraries cost on this machine now: the least that a service which stands on them can, and so the yardstick of the
/// benchmarks. Run each in a process of its own: it measures all threads of the process.
///
/// Each call blocks its thread until all is done or the time is up, and a second more at most; what is not done by then counts as failed.
public enum References {
    public struct Result: Equatable, Sendable {
        /// Requests answered with 2xx, records acknowledged or read.
        public let completed: Int
        public let failed: Int
        /// From the first call to the last completion.
        public let seconds: Double
        /// User and system time of all threads of this process meanwhile.
        public let cpuSeconds: Double
        /// Why the first of those that failed did; empty where none did.
        public let reason: String

        /// Completed ones in a second.
        public var rate: Double { seconds > 0 ? Double(completed) / seconds : 0 }
        /// Microseconds of CPU for each completed one; 0 where there is none.
        public var cpuMicroseconds: Double { completed > 0 ? cpuSeconds * 1e6 / Double(completed) : 0 }
    }

    /// It could not begin.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// libcurl: POSTs over kept connections, `inFlight` at a time, on the calling thread.
    public static func post(
        to url: String, requests: Int, inFlight: Int, body: [UInt8], timeLimitSeconds: Double
    ) throws -> Result {
        try run { result in
            body.withUnsafeBytes { body in
                reference_curl(url, requests, inFlight, body.baseAddress, body.count, timeLimitSeconds, &result)
            }
        }
    }

    /// librdkafka's idempotent producer, acks=all, linger 5 ms: `records` of `bytes` each, spread over all partitions by their keys.
    public static func produce(
        brokers: String, topic: String, records: Int, bytes: Int, timeLimitSeconds: Double
    ) throws -> Result {
        try run { reference_produce(brokers, topic, records, bytes, timeLimitSeconds, &$0) }
    }

    /// librdkafka's consumer: the first `records` of all partitions.
    public static func consume(
        brokers: String, topic: String, records: Int, timeLimitSeconds: Double
    ) throws -> Result {
        try run { reference_consume(brokers, topic, records, timeLimitSeconds, &$0) }
    }

    private static func run(_ reference: (inout reference_result) -> Int32) throws -> Result {
        var result = reference_result()
        let status = reference(&result)
        let reason = withUnsafeBytes(of: result.reason) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        guard status == 0 else { throw Failure(description: reason) }
        return Result(
            completed: result.completed, failed: result.failed, seconds: result.seconds,
            cpuSeconds: result.cpu_seconds, reason: reason)
    }
}
