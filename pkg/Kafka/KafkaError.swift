internal import CKafka

/// What Kafka, or the client library, refused; `reason` is written for the person who reads the log.
public struct KafkaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A number of Kafka's protocol (positive) or of librdkafka (negative).
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// The symbolic name, such as `_MSG_TIMED_OUT` or `UNKNOWN_MEMBER_ID`.
        public var name: String { String(cString: rd_kafka_err2name(response)) }

        /// librdkafka's sentence for it.
        public var explanation: String { String(cString: rd_kafka_err2str(response)) }

        public static let queueFull = Code(rawValue: RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue)
        public static let timedOut = Code(rawValue: RD_KAFKA_RESP_ERR__TIMED_OUT.rawValue)
        public static let messageTimedOut = Code(rawValue: RD_KAFKA_RESP_ERR__MSG_TIMED_OUT.rawValue)
        public static let messageTooLarge = Code(rawValue: RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE.rawValue)
        public static let allBrokersDown = Code(rawValue: RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue)
        public static let fatal = Code(rawValue: RD_KAFKA_RESP_ERR__FATAL.rawValue)
        public static let purgedFromQueue = Code(rawValue: RD_KAFKA_RESP_ERR__PURGE_QUEUE.rawValue)
        public static let purgedInFlight = Code(rawValue: RD_KAFKA_RESP_ERR__PURGE_INFLIGHT.rawValue)
        public static let invalidArgument = Code(rawValue: RD_KAFKA_RESP_ERR__INVALID_ARG.rawValue)
        public static let wrongState = Code(rawValue: RD_KAFKA_RESP_ERR__STATE.rawValue)
        public static let offsetReset = Code(rawValue: RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET.rawValue)
        public static let unsupported = Code(rawValue: RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE.rawValue)
        public static let systemResource = Code(rawValue: RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE.rawValue)
        public static let unknownTopic = Code(rawValue: RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue)
        public static let topicExists = Code(rawValue: RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS.rawValue)
        public static let unknownMember = Code(rawValue: RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID.rawValue)
        public static let illegalGeneration = Code(rawValue: RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION.rawValue)
        public static let rebalanceInProgress = Code(rawValue: RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS.rawValue)
        public static let closed = Code(rawValue: RD_KAFKA_RESP_ERR__DESTROY.rawValue)

        init(_ response: rd_kafka_resp_err_t) { rawValue = response.rawValue }
        private var response: rd_kafka_resp_err_t { rd_kafka_resp_err_t(rawValue: rawValue) }
    }

    public let code: Code
    public let reason: String
    /// The client instance is of no more use. A `Producer` replaces it by itself.
    public let isFatal: Bool

    public init(_ code: Code, _ reason: String, isFatal: Bool = false) {
        self.code = code
        self.reason = reason
        self.isFatal = isFatal
    }

    public var description: String { "\(code.name): \(reason)" }

    init(_ response: rd_kafka_resp_err_t) {
        self.init(Code(response), Code(response).explanation)
    }

    /// nil for the code that means success.
    init?(ifError response: rd_kafka_resp_err_t, _ context: String? = nil) {
        guard response != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        let code = Code(response)
        self.init(code, context.map { "\($0): \(code.explanation)" } ?? code.explanation)
    }

    /// The error of an event, with librdkafka's own text.
    init(event: OpaquePointer) {
        let code = Code(rd_kafka_event_error(event))
        let text = rd_kafka_event_error_string(event).map { String(cString: $0) } ?? code.explanation
        self.init(code, text, isFatal: rd_kafka_event_error_is_fatal(event) != 0)
    }

    /// Takes ownership of `error`.
    init(consuming error: OpaquePointer) {
        self.init(
            Code(rd_kafka_error_code(error)), String(cString: rd_kafka_error_string(error)),
            isFatal: rd_kafka_error_is_fatal(error) != 0)
        rd_kafka_error_destroy(error)
    }
}
