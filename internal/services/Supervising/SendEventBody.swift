internal import Cryptography
internal import JSONScanning

/// The JSON objects that `send` posts.
enum SendEventBody {
    /// The event that flags describe. Throws where its data is not JSON.
    static func body(of event: SendEvent) throws(SendError) -> [UInt8] {
        let data = Array(event.data.utf8)
        do {
            _ = try JSONValue(parsing: data)
        } catch {
            throw SendError(description: "--data is not JSON: \(error)")
        }
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("id", event.id ?? newID())
            writer.member("type", event.type)
            writer.member("source", event.source)
            if let key = event.orderingKey { writer.member("ordering_key", key) }
            writer.key("data")
            writer.raw(event.data)
        }
        return writer.bytes
    }

    /// `body` with an id of its own if it has none: so that a request that is repeated is not a second event. What is no object
    /// is left alone, for the service to refuse.
    static func identified(_ body: [UInt8]) -> [UInt8] {
        guard case .object(let object)? = JSONValue(answer: body), object["id"] == nil,
            let brace = body.firstIndex(of: UInt8(ascii: "{"))
        else { return body }
        var id = JSONWriter()
        id.string(newID())
        let member = Array("\"id\":".utf8) + id.bytes + (object.members.isEmpty ? [] : [UInt8(ascii: ",")])
        return Array(body[...brace]) + member + Array(body[(brace + 1)...])
    }

    static func newID() -> String {
        "evt-" + randomBytes(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
