internal import Cryptography

/// Where a page of a list ended. Its text is opaque to callers.
struct ListPosition: Equatable {
    var createdAtMs: Int64
    var id: String

    init(createdAtMs: Int64, id: String) {
        self.createdAtMs = createdAtMs
        self.id = id
    }

    /// nil where `cursor` is not what `text` gave.
    init?(cursor: String) {
        guard let bytes = Base64.urlSafe.decode(cursor), let text = String(validating: bytes, as: UTF8.self),
            let dot = text.firstIndex(of: "."), let time = Int64(text[..<dot]), abs(time) < 1 << 52
        else { return nil }
        let id = text[text.index(after: dot)...]
        guard id.utf8.count <= 64, !id.utf8.contains(0) else { return nil }
        self.init(createdAtMs: time, id: String(id))
    }

    var text: String { Base64.urlSafe.encode(Array("\(createdAtMs).\(id)".utf8)) }
}
