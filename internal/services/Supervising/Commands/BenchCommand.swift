internal import Flags
internal import Glibc

/// The benchmarks are a program of their own, so that no service or command carries what only measuring needs.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure what Martlet does on this machine.",
        discussion: "Becomes the program martlet-bench, which lies beside this one; martlet bench --help is its help.")

    func run() async throws { throw Self.become([]) }

    /// Replaces this process. Returns only why that failed.
    static func become(_ words: [String]) -> SupervisionError {
        let program = "\(Files.executableDirectory)/martlet-bench"
        let arguments = ([program] + words).map { strdup($0) }
        defer { for text in arguments { free(text) } }
        execv(program, arguments + [nil])
        return SupervisionError(
            "\(program) cannot be run (\(String(cString: strerror(errno)))): make build-bench makes it")
    }
}

extension MartletCommand {
    /// Runs what `words` call and returns the exit code.
    public static func main(_ words: [String]) async -> Int32 {
        guard words.first == "bench" else { return await execute(words) }
        CommandOutput.standard.note("Error: \(BenchCommand.become(Array(words.dropFirst())))")
        return 1
    }
}
