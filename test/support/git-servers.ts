import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { makeCertificates } from './certificates.js'
import { GitHttpBackend } from './git-http-backend.js'
import { until } from './server.js'
import { TcpRelay } from './tcp-relay.js'

/** The user and the password of what is below /private/. */
export const LOGIN = { user: 'reader', password: 'right-token' }

/** What is missing for {@link GitServers}; false: nothing. For `skip` of a test. */
export function missingGitServers(): string | false {
  const missing = ['nginx', 'sshd', 'ssh', 'openssl', 'ssh-keygen'].filter(
    (name) => programPath(name) === null,
  )
  if (missing.length > 0) return `${missing.join(', ')} not installed (Debian: nginx-light, openssh-server)`
  // Started by root, sshd drops its rights in there.
  if (userInfo().uid === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd', { mode: 0o755 })
  return false
}

function programPath(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

/** Ports of nginx, of which each shows git something else. */
interface Ports {
  /** TLS with a certificate of the test's CA. */
  readonly https: number
  /** The same with a certificate that nobody has signed. */
  readonly untrusted: number
  readonly plain: number
  readonly ssh: number
}

/**
 * `git http-backend` behind an nginx with TLS of a CA of its own and a password for /private/, and an sshd, both run by
 * whoever runs the tests. Repositories are folders below `root`, at the same path on both.
 */
export class GitServers implements AsyncDisposable {
  readonly root: string
  /** Has both keys of the account, its known hosts, and the CA. */
  readonly account: string
  readonly #children: ChildProcess[] = []
  readonly #relays: TcpRelay[] = []

  private constructor(
    readonly folder: string,
    readonly backend: GitHttpBackend,
    readonly ports: Ports,
  ) {
    this.root = join(folder, 'repositories')
    this.account = join(folder, 'account')
  }

  static async start(): Promise<GitServers> {
    const folder = mkdtempSync(join(tmpdir(), 'longshore-git-servers-'))
    for (const name of ['repositories', 'account', 'ca', 'logs']) mkdirSync(join(folder, name))
    const backend = await GitHttpBackend.start(join(folder, 'repositories'))
    const [https = 0, untrusted = 0, plain = 0, ssh = 0] = await freePorts(4)
    const servers = new GitServers(folder, backend, { https, untrusted, plain, ssh })
    makeCertificates(join(folder, 'ca'))
    makeKeys(folder)
    writeFileSync(join(folder, 'nginx.conf'), nginxConfig(servers))
    writeFileSync(join(folder, 'sshd_config'), sshdConfig(folder))
    writeFileSync(join(folder, 'forge'), FORGE, { mode: 0o755 })
    servers.#start('nginx', ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')])
    servers.#start('sshd', ['-D', '-e', '-p', String(ssh), '-f', join(folder, 'sshd_config')])
    for (const port of [https, ssh]) await until(() => answers(port), 20)
    servers.know(ssh)
    return servers
  }

  httpsUrl(path: string, port = this.ports.https): string {
    return `https://127.0.0.1:${port}/${path}`
  }

  sshUrl(path: string, port = this.ports.ssh): string {
    return `ssh://${userInfo().username}@127.0.0.1:${port}${this.root}/${path}`
  }

  /** A port in front of one of these, of which the account knows no host key. */
  async relayTo(port: number): Promise<number> {
    const relay = await TcpRelay.start(port)
    this.#relays.push(relay)
    return relay.port
  }

  /** The account knows the host key of the server at a port. */
  know(port: number, keyFile = join(this.folder, 'host.pub')): void {
    const line = `[127.0.0.1]:${port} ${readFileSync(keyFile, 'utf8')}`
    writeFileSync(join(this.account, 'known_hosts'), line, { flag: 'a' })
  }

  /**
   * From here on git and ssh run as on a machine that trusts the CA, by an account that has the key and known hosts: no
   * configuration of the tests' account is read or changed. Undone by the return value.
   */
  asAccount(key = 'key'): () => void {
    const bin = mkdtempSync(join(this.folder, 'bin-'))
    const own = { known: join(this.account, 'known_hosts'), key: join(this.account, key) }
    const options = `-o UserKnownHostsFile=${own.known} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i ${own.key}`
    const script = (name: string, line: string) =>
      writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 })
    script('ssh', `exec ${programPath('ssh')} ${options} "$@"`)
    script('git', `GIT_SSL_CAINFO=${join(this.folder, 'ca/ca.pem')} exec ${programPath('git')} "$@"`)
    const before = process.env.PATH
    process.env.PATH = `${bin}${delimiter}${before}`
    return () => (process.env.PATH = before)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const relay of this.#relays) await relay[Symbol.asyncDispose]()
    for (const child of this.#children) {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await ended
    }
    await this.backend[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #start(name: string, args: readonly string[]): void {
    const child = spawn(programPath(name) ?? name, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.resume()
    this.#children.push(child)
  }
}

/** Held at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** `key` may log in, `stranger` may not, `locked` could if it had no passphrase; and a host key that is not the server's. */
function makeKeys(folder: string): void {
  const make = (name: string, passphrase = '') => {
    const kind = ['-q', '-t', 'ed25519', '-C', 'test']
    execFileSync('ssh-keygen', [...kind, '-N', passphrase, '-f', join(folder, name)])
  }
  for (const name of ['host', 'other-host', 'account/key', 'account/stranger', 'account/open']) make(name)
  make('account/locked', 'a passphrase')
  const authorized = ['key', 'locked', 'open'].map((name) =>
    readFileSync(join(folder, 'account', `${name}.pub`), 'utf8'),
  )
  writeFileSync(join(folder, 'authorized_keys'), authorized.join(''))
  chmodSync(join(folder, 'account/open'), 0o644)
}

/** What forges say of a repository that is not theirs to show; else what git asks for. */
const FORGE = `#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
  *gitea-gone*) echo 'Gitea: Cannot find repository: you/gone' >&2; exit 1 ;;
  *gitea-closed*) echo 'Gitea: User: 1:you with Key: 1:key is not authorized to read you/closed.' >&2; exit 1 ;;
  *github-gone*) echo 'ERROR: Repository not found.' >&2; exit 1 ;;
  *gitlab-gone*) echo >&2; echo 'ERROR: The project you were looking for could not be found or you do not have permission to view it.' >&2; exit 1 ;;
  *) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
`

function sshdConfig(folder: string): string {
  return [
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    `ForceCommand ${join(folder, 'forge')}`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'AcceptEnv GIT_PROTOCOL',
    '',
  ].join('\n')
}

function nginxConfig({ folder, backend, ports }: GitServers): string {
  const tls = (port: number, certificate: string) => `
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/ca/${certificate}.pem;
    ssl_certificate_key ${folder}/ca/${certificate}.key;`
  const proxy = `proxy_pass http://127.0.0.1:${backend.port};`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(join(folder, 'htpasswd'), `${LOGIN.user}:{PLAIN}${LOGIN.password}\n`)
  return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/logs/${name};`).join('\n  ')}
  client_max_body_size 0;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_read_timeout 600s;
  server {${tls(ports.https, 'server')}
    location / { ${proxy} }
    location /private/ { auth_basic git; auth_basic_user_file ${folder}/htpasswd; ${proxy} }
    location /closed/ { return 403; }
    location /busy/ { return 429; }
    location /ill/ { return 503; }
    location /moved/ { return 301 http://127.0.0.1:${ports.plain}$request_uri; }
    location /page/ { default_type text/html; return 200 '<!DOCTYPE html>\\n<p>Sign in</p>\\n'; }
    location /signin/ { return 302 /users/sign_in; }
    location /users/ { default_type text/html; return 200 '<!DOCTYPE html>\\n<p>Sign in</p>\\n'; }
    location /gone/ { return 444; }
  }
  server {${tls(ports.untrusted, 'untrusted')}
    location / { ${proxy} }
  }
  server {
    listen 127.0.0.1:${ports.plain};
    location / { ${proxy} }
  }
}
`
}
