internal import Glibc

extension MetricsRegistry {
    /// Registers what Prometheus' own client libraries export of every process: CPU time, memory, descriptors, start time.
    public func registerProcessMetrics() {
        let cpu = floatingPointCounter(
            "process_cpu_seconds_total", help: "User and system CPU time spent in seconds.")
        let resident = gauge("process_resident_memory_bytes", help: "Resident memory size in bytes.")
        let virtual = gauge("process_virtual_memory_bytes", help: "Virtual memory size in bytes.")
        let open = gauge("process_open_fds", help: "Number of open file descriptors.")
        let limit = gauge("process_max_fds", help: "Maximum number of open file descriptors.")
        let threads = gauge("process_threads", help: "Number of threads.")
        let start = gauge("process_start_time_seconds", help: "Start time of the process since unix epoch in seconds.")
        start.set(ProcessStatus.startTimeSeconds() ?? 0)
        onScrape {
            cpu.raise(to: ProcessStatus.cpuSeconds())
            open.set(ProcessStatus.openDescriptors())
            limit.set(ProcessStatus.maximumDescriptors())
            guard let status = ProcessStatus.read() else { return }
            resident.set(status.residentBytes)
            virtual.set(status.virtualBytes)
            threads.set(status.threads)
        }
    }
}

/// What the kernel tells about this process in `/proc/self/stat`.
struct ProcessStatus {
    var threads: Int
    var startTicks: Int
    var virtualBytes: Int
    var residentBytes: Int

    static func read() -> ProcessStatus? {
        // The second field, the program's name in parentheses, may hold blanks and parentheses: count from the last one.
        guard let text = readFile("/proc/self/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ").dropFirst().map { Int($0) }
        // fields[0] is the third of proc(5), the state.
        guard fields.count > 21, let threads = fields[17], let start = fields[19], let virtual = fields[20],
            let pages = fields[21]
        else { return nil }
        return ProcessStatus(
            threads: threads, startTicks: start, virtualBytes: virtual,
            residentBytes: pages * sysconf(Int32(_SC_PAGESIZE)))
    }

    static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        let microseconds = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(microseconds) / 1e6
    }

    static func startTimeSeconds() -> Double? {
        let prefix = "btime "
        guard let status = read(), let lines = readFile("/proc/stat")?.split(separator: "\n"),
            let line = lines.first(where: { $0.hasPrefix(prefix) }), let boot = Double(line.dropFirst(prefix.count))
        else { return nil }
        return boot + Double(status.startTicks) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    static func openDescriptors() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without `.`, `..` and the descriptor that reads the directory.
        return max(0, count - 3)
    }

    static func maximumDescriptors() -> Double {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur)
    }

    private static func readFile(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 { content += buffer[..<count] }
        return String(decoding: content, as: UTF8.self)
    }
}
