internal import Glibc

/// Where settings come from: a YAML file and, before it, the environment.
public struct SettingsSources: Sendable {
    /// The file's name as messages give it; nil without a file.
    let file: String?
    let root: YAMLNode?
    let environment: [String: String]
    let prefix: String
    let otherVariables: Set<String>

    /// - Parameters:
    ///   - file: The YAML file, if there is one; it must be readable then.
    ///   - environment: All variables; those that begin with `prefix` must be settings.
    ///   - prefix: A key's variable is this and its path in capitals with `_` for each dot.
    ///   - otherVariables: Variables with the prefix that are no settings.
    public init(
        file: String?, environment: [String: String] = Self.processEnvironment(), prefix: String,
        otherVariables: Set<String> = []
    ) throws(SettingsError) {
        var content: [UInt8]?
        if let file {
            switch Self.read(file) {
            case .success(let bytes): content = bytes
            case .failure(let code):
                throw SettingsError(["\(file): \(String(cString: strerror(code.rawValue)))"])
            }
        }
        try self.init(
            yaml: content, file: file ?? "", environment: environment, prefix: prefix, otherVariables: otherVariables)
    }

    /// - Parameter yaml: The file's content.
    public init(
        yaml: [UInt8]?, file: String, environment: [String: String], prefix: String, otherVariables: Set<String> = []
    ) throws(SettingsError) {
        self.file = yaml == nil ? nil : file
        self.environment = environment
        self.prefix = prefix
        self.otherVariables = otherVariables
        do throws(YAMLError) {
            root = if let yaml { try YAMLDocument.read(yaml) } else { nil }
        } catch {
            throw SettingsError(["\(file):\(error.line): \(error.reason)"])
        }
    }

    /// This process' environment.
    public static func processEnvironment() -> [String: String] {
        var result: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                result[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next += 1
        }
        return result
    }

    func variable(for path: String) -> String {
        prefix + path.uppercased().replacing(".", with: "_")
    }

    /// An `errno`.
    struct Failure: Error {
        var rawValue: Int32
    }

    /// At most a little more than a document may have, so that `/dev/zero` ends too.
    static func read(_ path: String) -> Result<[UInt8], Failure> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(Failure(rawValue: errno)) }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while content.count <= YAMLDocument.maximumBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return .failure(Failure(rawValue: errno)) }
            if count == 0 { break }
            content += buffer[..<count]
        }
        return .success(content)
    }
}

/// Everything that is wrong with the settings, one sentence each: key, value, what was expected, and where it stands.
public struct SettingsError: Error, CustomStringConvertible, Equatable {
    public var problems: [String]
    public init(_ problems: [String]) { self.problems = problems }
    public var description: String { problems.joined(separator: "; ") }
}
