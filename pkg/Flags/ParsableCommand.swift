internal import Glibc

/// A command of a command line. Its properties say what it takes; shaped like swift-argument-parser's `AsyncParsableCommand`.
///
///     struct Send: ParsableCommand {
///         static let configuration = CommandConfiguration(abstract: "Send an event.")
///         @Option(help: "Its type.") var type = "demo.created"
///         @Flag(help: "Say nothing.") var quiet = false
///         @Argument(help: "A file of JSON lines.") var file: String?
///         func run() async throws { … }
///     }
public protocol ParsableCommand: ParsableArguments, SendableMetatype {
    static var configuration: CommandConfiguration { get }

    /// Called after parsing; throws `ValidationError` where values do not fit together.
    func validate() throws

    /// Does the work. Throws `ValidationError` for what was typed wrongly, `ExitCode` to end without further words, or anything else.
    mutating func run() async throws
}

extension ParsableCommand {
    public func validate() throws {}

    /// A command that only has others below it shows its help.
    public mutating func run() async throws { throw HelpRequest(type: Self.self) }

    static var commandName: String { configuration.commandName ?? kebabCase(String(describing: Self.self)) }

    /// The command and all below it as data.
    public static var model: CommandModel { model(parents: []) }

    static func model(parents: [String]) -> CommandModel {
        let path = parents + [commandName]
        return CommandModel(
            path: path.joined(separator: " "), name: commandName, abstract: configuration.abstract,
            discussion: configuration.discussion, version: configuration.version,
            arguments: boundArguments(of: Self()).map(\.definition),
            subcommands: configuration.subcommands.map { $0.model(parents: path) })
    }

    /// Parses `words` (without the program's name) and runs the command they call. Returns the exit code: 0, what an `ExitCode`
    /// says, 64 where the words were wrong, 1 for any other error, which is written to standard error.
    public static func execute(_ words: [String]) async -> Int32 {
        do {
            let (parsed, path) = try CommandLineParser(root: Self.self).parse(words)
            try await run(parsed, path: path)
            return 0
        } catch let request as HelpRequest {
            print(HelpText.page(request.type, path: request.path), terminator: "")
            return 0
        } catch let request as VersionRequest {
            print(request.version)
            return 0
        } catch let error as UsageError {
            writeToStandardError(error.description)
            return ExitCode.usage.rawValue
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            writeToStandardError("Error: \(error)\n")
            return ExitCode.failure.rawValue
        }
    }

    private static func run(_ parsed: any ParsableCommand, path: [String]) async throws {
        var command = parsed
        do {
            try command.validate()
            try await command.run()
        } catch let error as ValidationError {
            throw UsageError(message: error.message, command: type(of: parsed), path: path)
        } catch is HelpRequest {
            throw HelpRequest(type: type(of: parsed), path: path)
        }
    }

    /// Error messages are short: what the descriptor does not take at once is lost.
    private static func writeToStandardError(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }
}

/// What a command is called and what it is for.
public struct CommandConfiguration: Sendable {
    public let commandName: String?
    public let abstract: String
    public let discussion: String
    public let version: String
    public let subcommands: [any ParsableCommand.Type]

    /// - Parameters:
    ///   - commandName: The word that calls it; unless told the type's name in lower case.
    ///   - abstract: One sentence.
    ///   - discussion: More, for its own help page.
    ///   - version: What `--version` says, at the root.
    public init(
        commandName: String? = nil, abstract: String = "", discussion: String = "", version: String = "",
        subcommands: [any ParsableCommand.Type] = []
    ) {
        self.commandName = commandName
        self.abstract = abstract
        self.discussion = discussion
        self.version = version
        self.subcommands = subcommands
    }
}

/// What was typed cannot be done, in words for who typed it.
public struct ValidationError: Error, CustomStringConvertible {
    public let message: String
    public init(_ message: String) { self.message = message }
    public var description: String { message }
}

/// Ends the program with a code and without further words.
public struct ExitCode: Error, Equatable, Sendable {
    public let rawValue: Int32
    public init(_ rawValue: Int32) { self.rawValue = rawValue }
    public static let failure = ExitCode(1)
    /// `EX_USAGE` of sysexits.h.
    public static let usage = ExitCode(64)
}

/// The words were wrong.
struct UsageError: Error, CustomStringConvertible {
    let message: String
    let command: any ParsableCommand.Type
    let path: [String]

    var description: String {
        """
        Error: \(message)
        Usage: \(HelpText.usage(command, path: path))
          See '\(path.joined(separator: " ")) --help' for more information.

        """
    }
}

struct HelpRequest: Error {
    let type: any ParsableCommand.Type
    var path: [String] = []
}

struct VersionRequest: Error {
    let version: String
}
