import type { DeploymentErrorCode } from '../../entities/deployment-error-code.js'
import { CHANGED_KEY } from './host-keys.js'

/** What a failed fetch comes from, by what git, ssh, curl and the TLS library print of it. */
export interface FetchFailure {
  readonly name: string
  readonly says: RegExp
  readonly code: DeploymentErrorCode
  /** `said` is the line that tells most; see `tellingLine` in fetch-error.ts. */
  readonly message: (url: string, said: string) => string
  /** It may be well again in a moment. Everything else fails the next time as well. */
  readonly isPassing: boolean
}

const notFetched = (why: string) => (url: string, said: string) =>
  `git could not fetch ${url}: ${why}${said === '' ? '' : `: ${said}`}`
const noRepository = (url: string, said: string) => `${url} does not exist, or needs a credential: ${said}`

/** Of the URL of a repository whose commits have ids of 64 digits. */
export const NO_SHA256 =
  'is a SHA-256 repository, which Longshore does not support: use one with SHA-1 ids (git init --object-format=sha1)'

/** The first that fits counts: what is definite stands before what only says that a connection has ended. */
export const FETCH_FAILURES: readonly FetchFailure[] = [
  {
    name: 'changed host key',
    says: /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/,
    code: 'CLONE_FAILED',
    message: (url) =>
      `git could not fetch ${url}: the server has another host key than the one that is known of it. ${CHANGED_KEY}`,
    isPassing: false,
  },
  {
    name: 'key readable by others',
    says: /UNPROTECTED PRIVATE KEY FILE|Load key .*: bad permissions/,
    code: 'CLONE_FAILED',
    message: (url) =>
      `git could not fetch ${url}: ssh does not use a private key that others can read: chmod 600 the key`,
    isPassing: false,
  },
  {
    name: 'SHA-256 ids',
    says: /mismatched algorithms|unsupported object format|unknown object format/i,
    code: 'CLONE_FAILED',
    message: (url) => `${url} ${NO_SHA256}`,
    isPassing: false,
  },
  {
    name: 'broken objects',
    says: /possible repository corruption|empty filename in tree|malformed mode in tree|too-short tree/i,
    code: 'CLONE_FAILED',
    message: notFetched('the repository has broken objects'),
    isPassing: false,
  },
  {
    name: 'too many requests',
    says: /returned error: 429|HTTP 429|rate limit/i,
    code: 'CLONE_FAILED',
    message: notFetched('the server has had too many requests'),
    isPassing: true,
  },
  {
    name: 'refused key',
    says: /Permission denied \([a-z,-]*\)|Too many authentication failures/i,
    code: 'REPO_NOT_FOUND',
    message: (url, said) =>
      `${noRepository(url, said)}. The server accepts no SSH key of the account that runs Longshore: add its public key ` +
      'as a deploy key; a key with a passphrase is not used',
    isPassing: false,
  },
  {
    name: 'plain HTTP',
    says: /transport '\w+' not allowed|Protocol "?\w+"? not supported or disabled/,
    code: 'CLONE_FAILED',
    message: notFetched(
      'the server redirects to a protocol that is not used, such as http://, where anybody on the way reads and changes the code',
    ),
    isPassing: false,
  },
  {
    name: 'untrusted certificate',
    says: /certificate verification failed|SSL certificate problem|certificate subject name|certificate has expired/i,
    code: 'CLONE_FAILED',
    message: notFetched('its TLS certificate is not trusted by this machine'),
    isPassing: false,
  },
  {
    name: 'no TLS',
    says: /unexpected TLS packet|wrong version number|TLS fatal alert|alert handshake failure/i,
    code: 'CLONE_FAILED',
    message: notFetched('what listens there does not speak TLS as git does'),
    isPassing: false,
  },
  {
    name: 'no repository',
    says: new RegExp(
      [
        "repository .*not found|does not exist|does not appear to be a git repository|couldn't be found",
        'cannot find repository|could not be found|not authori[sz]ed|unauthori[sz]ed|access denied|access rights? denied',
        'could not read (Username|Password)|Authentication failed|returned error: (401|403|404)|HTTP Basic: Access denied',
        'unable to update url base from redirection|not valid: is this a git repository',
      ].join('|'),
      'i',
    ),
    code: 'REPO_NOT_FOUND',
    message: noRepository,
    isPassing: false,
  },
  {
    name: 'no host',
    says: /Could not resolve (host|hostname|proxy)|Name or service not known|Temporary failure in name resolution/i,
    code: 'CLONE_FAILED',
    message: notFetched('its host name has no address'),
    isPassing: true,
  },
  {
    name: 'no connection',
    says: /Failed to connect|Couldn.t connect to server|Connection refused|No route to host|Network is unreachable|timed out/i,
    code: 'CLONE_FAILED',
    message: notFetched('no connection to the server'),
    isPassing: true,
  },
  {
    name: 'failing server',
    says: /returned error: 5\d\d|HTTP 5\d\d/i,
    code: 'CLONE_FAILED',
    message: notFetched('the server fails'),
    isPassing: true,
  },
  {
    name: 'broken connection',
    says: new RegExp(
      [
        "RPC failed; curl|expected '(packfile|acknowledgments|wanted-refs|shallow-info)'|expected flush after",
        'early EOF|unexpected disconnect|hung up unexpectedly|Connection (was )?(reset|closed)|Broken pipe|Empty reply',
        'GnuTLS recv error|gnutls_handshake\\(\\) failed|SSL_ERROR_SYSCALL|SSL_read|Recv failure|Send failure',
        'kex_exchange_identification|invalid index-pack output',
      ].join('|'),
      'i',
    ),
    code: 'CLONE_FAILED',
    message: notFetched('the connection ended in the middle'),
    isPassing: true,
  },
]

/** Nothing that is known. */
export const UNKNOWN_FAILURE: FetchFailure = {
  name: 'unknown',
  says: /^/,
  code: 'CLONE_FAILED',
  message: (url, said) => `git could not fetch ${url}: ${said}`,
  isPassing: false,
}
