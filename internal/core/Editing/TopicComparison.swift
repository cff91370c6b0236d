/// Finds out what topic `webhooks` and the table disagree about, and what helps.
///
/// | topic | table | remedy |
/// |---|---|---|
/// | nothing, or a lower version | version v | publish v |
/// | version v | the same | – |
/// | version v, other bytes | version v | change v in the table to v + 1 (consumers ignore an equal version), publish that |
/// | version w > v | version v | change it to w + 1: the database was restored from a backup |
/// | version v | nothing | a tombstone |
///
/// The topic is read before the table, and everything in the topic came from a committed change: so what the table shows later is never
/// older than what the topic showed, and a webhook that is missing there has been deleted.
public struct TopicComparison {
    /// A record of the topic, or a row of the table as a record.
    public struct State: Equatable, Sendable {
        public let version: UInt64
        /// Of the record's bytes.
        public let digest: [UInt8]

        public init(version: UInt64, digest: [UInt8]) {
            self.version = version
            self.digest = digest
        }
    }

    public enum Remedy: Equatable, Sendable {
        case publish
        /// Give the row a version above this one, and publish that.
        case raise(above: UInt64)
    }

    private var topic: [String: State]

    /// - Parameter topic: The newest record of each key that is no tombstone.
    public init(topic: [String: State]) { self.topic = topic }

    /// Takes one row; each once.
    public mutating func compare(_ id: String, _ row: State) -> Remedy? {
        guard let record = topic.removeValue(forKey: id), record.version >= row.version else { return .publish }
        return record == row ? nil : .raise(above: record.version)
    }

    /// Keys of the topic that no row was compared with: they need a tombstone.
    public var leftovers: [String] { topic.keys.sorted() }
}
