import Kafka
import Synchronization

/// Collects records from a reader's thread.
final class Found: Sendable {
    private let records = Mutex<[CopiedRecord]>([])
    func append(_ record: CopiedRecord) { records.withLock { $0.append(record) } }
    var all: [CopiedRecord] { records.withLock { $0 } }
}

extension CopiedRecord {
    /// Its headers as text, by name.
    var texts: [String: String] {
        Dictionary(headers.map { ($0.name, String(decoding: $0.value ?? [], as: UTF8.self)) }) { $1 }
    }

    var keyText: String { String(decoding: key ?? [], as: UTF8.self) }
}
