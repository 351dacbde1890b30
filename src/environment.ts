/** What is read of the environment beside the settings of config.ts: what other programs have set, and what they are handed. */

/** Beside DOCKER_HOST, what tells where the engine is: the Docker command line's own settings and its files. */
export function dockerEnvironment(): NodeJS.ProcessEnv {
  const { DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH } = process.env
  const { HOME, XDG_RUNTIME_DIR } = process.env
  return { DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, HOME, XDG_RUNTIME_DIR }
}

const PROXIES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
])

/** The proxies by which repositories and forges are reached, by the names that programs know them by. */
export function proxyEnvironment(): Record<string, string> {
  return Object.fromEntries(
    PROXIES.flatMap((name) => (process.env[name] ? [[name, process.env[name]] as const] : [])),
  )
}

/**
 * Forgets what is meant for other databases: PGSSLMODE, PGOPTIONS and their kind, which each connection to the embedded
 * PostgreSQL would take from the environment.
 */
export function forgetPostgresEnvironment(): void {
  for (const name of Object.keys(process.env)) if (/^PG[A-Z]/.test(name)) delete process.env[name]
}

/** Where programs are looked up: beside proxies, the only part of the environment that child processes inherit. */
export function programPath(): string {
  return process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin'
}

/**
 * What git is handed by its environment for one conversation with a server, for the program that runs in its place
 * (engine/git/nodegit/). Its OpenSSL is told of the CAs, which it looks for when it is loaded.
 */
export function takeGitEnvironment(): { readonly tokenFile: string | null; readonly sshCommand: string } {
  const { GIT_SSL_CAINFO, LONGSHORE_GIT_TOKEN = null, GIT_SSH_COMMAND = '' } = process.env
  if (GIT_SSL_CAINFO) process.env.SSL_CERT_FILE = GIT_SSL_CAINFO
  return { tokenFile: LONGSHORE_GIT_TOKEN, sshCommand: GIT_SSH_COMMAND }
}
