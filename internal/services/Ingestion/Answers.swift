internal import HTTPServing
internal import JSONScanning
internal import Kafka

/// What a producer is told: one place for every end that a request can have.
enum Answers {
    /// Kafka has it, now or since an earlier request.
    static func accepted(id: String, duplicate: Bool) -> HTTPResponse {
        var writer = JSONWriter(reserving: 96)
        writer.object {
            $0.member("id", id)
            $0.member("status", "accepted")
            $0.member("duplicate", duplicate)
        }
        return .json(status: 202, writer.bytes)
    }

    static let pending = HTTPProblem(
        status: 503, code: "pending", detail: "Another request with this id is under way; try again in a second.",
        field: "id",
        retryAfter: 1)

    static let kafkaAway = HTTPProblem(
        status: 503, code: "unavailable", detail: "Kafka cannot be reached, so nothing was accepted; try again.",
        retryAfter: 2)

    static let queueFull = HTTPProblem(
        status: 503, code: "overloaded", detail: "More events wait for Kafka than can be held; try again.",
        retryAfter: 1)

    static let unacknowledged = HTTPProblem(
        status: 503, code: "unavailable",
        detail: "Kafka did not acknowledge the event in time. It may have it all the same: try again with the same id.",
        retryAfter: 2)

    static let tooLarge = HTTPProblem(
        status: 413, code: "too_large", detail: "The event is larger than its topic takes.")

    static let wrongContentType = HTTPProblem(
        status: 415, code: "unsupported_media_type", detail: "Send the event as application/json.",
        field: "Content-Type")

    /// What a refused produce call means.
    static func problem(_ result: ProduceResult) -> HTTPProblem {
        switch result {
        case .tooLarge: tooLarge
        case .queueFull: queueFull
        case .queued, .failed: kafkaAway
        }
    }

    /// Whether a `Content-Type` says JSON.
    static func isJSON(_ contentType: UnsafeRawBufferPointer?) -> Bool {
        guard let contentType else { return false }
        let type = contentType.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
        let name = String(decoding: type, as: UTF8.self).lowercased()
        return name == "application/json" || (name.hasPrefix("application/") && name.hasSuffix("+json"))
    }
}
