internal import Validation

/// Somebody who may log in, and as what.
public struct User: Equatable, Sendable {
    public var username: String
    public var tenant: String
    public var scopes: [Scope]

    public init(username: String, tenant: String, scopes: [Scope] = Scope.allCases) {
        self.username = username
        self.tenant = tenant
        self.scopes = scopes
    }

    public static let passwordBytes = 8...1_024

    /// Whether it can be a user's name: 1 to 128 of `a-z 0-9 . _ - + @`, so that no two names look alike.
    public static func isUsername(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "@"): true
                default: false
                }
            }
    }

    /// What is wrong with a new user.
    func problem(password: String) -> UserError? {
        if !Self.isUsername(username) {
            return .invalid("a username is 1 to 128 of a-z, 0-9 and . _ - + @, found \(username)")
        }
        if !isTenant(tenant.utf8) {
            return .invalid(
                "a tenant is 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit, found \(tenant)")
        }
        return Self.problem(password: password)
    }

    static func problem(password: String) -> UserError? {
        if passwordBytes.contains(password.utf8.count) { return nil }
        return .invalid("a password has \(passwordBytes.lowerBound) to \(passwordBytes.upperBound) bytes")
    }
}

/// Why a user was not added or changed. The text is for whoever manages users.
public enum UserError: Error, Equatable, Sendable, CustomStringConvertible {
    case invalid(String)
    case exists(String)
    case unknown(String)

    public var description: String {
        switch self {
        case .invalid(let what): what
        case .exists(let name): "there is a user \(name) already"
        case .unknown(let name): "there is no user \(name)"
        }
    }
}
