internal import Cryptography

/// The JSON objects that `send` posts.
enum SendEventBody {
    /// The event that flags describe. `data` is put in as it is; whether it is JSON is the service's to judge.
    static func body(of event: SendEvent) -> [UInt8] {
        var members = [
            ("id", jsonText(event.id ?? newID())), ("type", jsonText(event.type)), ("source", jsonText(event.source)),
        ]
        if let key = event.orderingKey { members.append(("ordering_key", jsonText(key))) }
        members.append(("data", event.data))
        return Array(("{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}").utf8)
    }

    /// `body` with an id of its own if it has none: so that a request that is repeated is not a second event. What is no object
    /// is left alone, for the service to refuse.
    static func identified(_ body: [UInt8]) -> [UInt8] {
        guard let members = decodedJSON(Members.self, body), !members.hasID,
            let brace = body.firstIndex(of: UInt8(ascii: "{"))
        else { return body }
        let isEmpty = body[(brace + 1)...].first { !isBlank($0) } == UInt8(ascii: "}")
        let id = "\"id\":\(jsonText(newID()))" + (isEmpty ? "" : ",")
        return Array(body[...brace]) + Array(id.utf8) + Array(body[(brace + 1)...])
    }

    static func newID() -> String {
        "evt-" + randomBytes(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

    /// Whether an object has a member `id`, whatever its value.
    private struct Members: Decodable {
        let hasID: Bool

        private enum Keys: String, CodingKey { case id }

        init(from decoder: any Decoder) throws {
            hasID = try decoder.container(keyedBy: Keys.self).contains(.id)
        }
    }
}
