import Glibc

/// What the processes of a kind have used.
struct Usage: Equatable, Sendable {
    /// Since they were started.
    var cpuSeconds = 0.0
    /// The most memory they had at once, where that is one process; else what they have now, shared pages divided among them.
    var memoryBytes = 0
}

/// Reads `/proc`: a process and everything below it.
enum ProcessTable {
    private struct Entry {
        var pid: Int32
        var parent: Int32
        var name: String
        var cpuSeconds: Double
        /// Of children that have ended.
        var reapedSeconds: Double
    }

    private static let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))

    /// The use of a process and all its descendants, by kind.
    static func usage(of root: Int32) -> [String: Usage] {
        var usage: [String: Usage] = [:]
        for entry in family(of: root) {
            let kind = kinds[entry.name] ?? entry.name
            usage[kind, default: Usage()].cpuSeconds += entry.cpuSeconds
            // A server's workers come and go; what those that went had used is their parent's.
            if kind == "postgresql" { usage[kind, default: Usage()].cpuSeconds += entry.reapedSeconds }
            usage[kind, default: Usage()].memoryBytes += memory(entry.pid, isShared: kind == "postgresql")
        }
        return usage
    }

    /// The processes of a kind among the descendants.
    static func pids(of kind: String, below root: Int32) -> [Int32] {
        family(of: root).filter { kinds[$0.name] ?? $0.name == kind }.map(\.pid)
    }

    private static func family(of root: Int32) -> [Entry] {
        let entries = all()
        var found: Set<Int32> = [root]
        var isGrowing = true
        while isGrowing {
            let children = entries.filter { found.contains($0.parent) && !found.contains($0.pid) }.map(\.pid)
            found.formUnion(children)
            isGrowing = !children.isEmpty
        }
        return entries.filter { found.contains($0.pid) }
    }

    /// By what the kernel calls them (15 bytes).
    private static let kinds = [
        "java": "kafka", "postgres": "postgresql", "redis-server": "redis", "webhook-registr": "webhook-registry",
        "webhook-dispatc": "webhook-dispatcher", "martlet": "martlet (supervisor)",
    ]

    private static func all() -> [Entry] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var entries: [Entry] = []
        while let item = readdir(directory) {
            let name = withUnsafePointer(to: &item.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = Int32(name), let entry = entry(pid) { entries.append(entry) }
        }
        return entries
    }

    /// proc(5): pid (name) state parent … utime is the 14th field.
    private static func entry(_ pid: Int32) -> Entry? {
        guard let text = contents("/proc/\(pid)/stat"), let open = text.firstIndex(of: "("),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[end...].split(separator: " ").dropFirst()
        let numbers = fields.dropFirst().prefix(15).map { Double($0) ?? 0 }
        guard numbers.count == 15 else { return nil }
        return Entry(
            pid: pid, parent: Int32(numbers[0]), name: String(text[text.index(after: open)..<end]),
            cpuSeconds: (numbers[10] + numbers[11]) / ticks, reapedSeconds: (numbers[12] + numbers[13]) / ticks)
    }

    private static func memory(_ pid: Int32, isShared: Bool) -> Int {
        let path = isShared ? "/proc/\(pid)/smaps_rollup" : "/proc/\(pid)/status"
        let prefix = isShared ? "Pss:" : "VmHWM:"
        let line = contents(path)?.split(separator: "\n").first { $0.hasPrefix(prefix) }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1_024
    }

    /// Seconds that all processors together have worked since the machine's start, whoever for.
    static func machineSeconds() -> Double {
        let line = contents("/proc/stat")?.split(separator: "\n").first ?? ""
        let fields = line.split(separator: " ").dropFirst().map { Double($0) ?? 0 }
        guard fields.count >= 8 else { return 0 }
        // user, nice, system, idle, iowait, irq, softirq, steal
        return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / ticks
    }
}

/// A small file's text; nil where it cannot be read.
func contents(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        guard count > 0 else { break }
        bytes.append(contentsOf: buffer[..<count])
    }
    return String(decoding: bytes, as: UTF8.self)
}
