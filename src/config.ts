import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'

/** What a process of Longshore does: `api` answers requests, `worker` deploys and routes. */
export type Role = 'api' | 'worker'
export type BuilderChoice = 'auto' | 'buildkit' | 'classic'

/** Every setting, decided and checked. Durations are milliseconds, sizes bytes. */
export interface Config {
  readonly roles: readonly Role[]
  /** Null: the embedded PostgreSQL under `dataDir` is used. */
  readonly databaseUrl: string | null
  readonly dataDir: string
  readonly dockerHost: string
  readonly baseDomain: string
  readonly host: string
  readonly port: number
  readonly router: 'builtin' | 'off'
  readonly routerHost: string
  readonly routerPort: number
  /** The port in the URLs that are given out: the built-in router's, or 80 where another router stands before it. */
  readonly publicPort: number
  readonly imagePrefix: string
  readonly concurrency: number
  /** Over all processes; null: no limit but each process's own. */
  readonly totalConcurrency: number | null
  readonly leaseMs: number
  readonly pollMs: number
  readonly stopGraceMs: number
  readonly builder: BuilderChoice
  readonly dockerTimeoutMs: number
  readonly buildCacheBytes: number
  readonly cloneTimeoutMs: number
  readonly buildTimeoutMs: number
  readonly buildSilenceMs: number
  readonly drainMs: number
  /** How long a new version is watched after traffic has moved to it. */
  readonly watchMs: number
  /** How long the router may take to follow. */
  readonly confirmMs: number
  readonly maxRepoBytes: number
  readonly minFreeDiskBytes: number
  /** Images kept for each stage beside the one that serves. */
  readonly keepReleases: number
  readonly logRetentionDays: number
  readonly gitBackend: 'git'
  readonly allowFileRepos: boolean
  readonly adminToken: string | null
  readonly masterKey: string | null
  /** Only for tests: where the process kills itself. */
  readonly failpoint: string | null
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** Names this process in claims: host, process id and a random part. */
  readonly workerId: string
}

type Env = Readonly<Record<string, string | undefined>>

/** Thrown once with every bad setting, one line each, so that one start-up shows all of them. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly code = 'BAD_CONFIG'
}

const SECOND = 1000
const MIB = 1024 * 1024

/**
 * Reads the settings. The only reader of `process.env` in the server.
 *
 * @throws ConfigError naming every setting that cannot be used and what it takes.
 */
export function readConfig(env: Env = process.env): Config {
  const read = new Reader(env)
  const config: Config = {
    roles: read.roles('ROLES', ['api', 'worker']),
    databaseUrl: read.databaseUrl('DATABASE_URL'),
    dataDir: resolve(read.text('DATA_DIR', 'data')),
    ...readAddresses(read),
    ...readEngine(read),
    ...readDocker(read),
    ...readGit(read),
    ...readDisk(read),
    adminToken: read.token('ADMIN_TOKEN'),
    masterKey: read.masterKey('MASTER_KEY'),
    logLevel: read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    workerId: `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`,
  }
  if (!config.databaseUrl && config.roles.length < 2) {
    read.refuse('DATABASE_URL', 'must be set where ROLES names one role: two processes need one database')
  }
  read.done()
  return Object.freeze(config)
}

function readAddresses(read: Reader) {
  const router = read.oneOf('ROUTER', ['builtin', 'off'], 'builtin')
  const routerPort = read.integer('ROUTER_PORT', 8000, 1, 65_535)
  return {
    baseDomain: read.domain('BASE_DOMAIN', 'localhost'),
    host: read.text('HOST', '127.0.0.1'),
    port: read.integer('PORT', 8080, 0, 65_535),
    router,
    routerHost: read.text('ROUTER_HOST', '0.0.0.0'),
    routerPort,
    publicPort: router === 'builtin' ? routerPort : 80,
  }
}

function readEngine(read: Reader) {
  return {
    concurrency: read.integer('ENGINE_CONCURRENCY', 2, 1, 64),
    totalConcurrency: read.integer('ENGINE_TOTAL_CONCURRENCY', 0, 0, 1024) || null,
    leaseMs: read.integer('LEASE_SECONDS', 30, 1, 600) * SECOND,
    pollMs: read.integer('POLL_SECONDS', 2, 1, 60) * SECOND,
    stopGraceMs: read.integer('STOP_GRACE_SECONDS', 25, 0, 600) * SECOND,
    drainMs: read.integer('DRAIN_SECONDS', 10, 0, 600) * SECOND,
    watchMs: read.integer('WATCH_SECONDS', 30, 0, 3600) * SECOND,
    confirmMs: read.integer('ROUTER_CONFIRM_SECONDS', 15, 1, 600) * SECOND,
    failpoint: read.optional('FAILPOINT'),
  }
}

function readDocker(read: Reader) {
  return {
    dockerHost: read.dockerHost('DOCKER_HOST', 'unix:///var/run/docker.sock'),
    dockerTimeoutMs: read.integer('DOCKER_TIMEOUT', 60, 1, 600) * SECOND,
    imagePrefix: read.imagePrefix('IMAGE_PREFIX', 'mvp'),
    builder: read.oneOf('BUILDER', ['auto', 'buildkit', 'classic'], 'auto'),
    buildTimeoutMs: read.integer('BUILD_TIMEOUT', 1800, 1, 86_400) * SECOND,
    buildSilenceMs: read.integer('BUILD_SILENCE_TIMEOUT', 600, 1, 86_400) * SECOND,
  }
}

function readGit(read: Reader) {
  return {
    gitBackend: read.oneOf('GIT_BACKEND', ['git'], 'git'),
    allowFileRepos: read.flag('ALLOW_FILE_REPOS', false),
    cloneTimeoutMs: read.integer('CLONE_TIMEOUT', 300, 1, 86_400) * SECOND,
    maxRepoBytes: read.integer('MAX_REPO_MIB', 500, 1, 1024 * 1024) * MIB,
  }
}

function readDisk(read: Reader) {
  return {
    buildCacheBytes: read.integer('BUILD_CACHE_MIB', 5 * 1024, 64, 1024 * 1024) * MIB,
    minFreeDiskBytes: read.integer('MIN_FREE_DISK_MIB', 512, 0, 1024 * 1024) * MIB,
    keepReleases: read.integer('KEEP_RELEASES', 5, 0, 100),
    logRetentionDays: read.integer('LOG_RETENTION_DAYS', 30, 1, 3650),
  }
}

/** Where programs are looked up: the only part of the environment that child processes inherit. */
export function programPath(): string {
  return process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin'
}

class Reader {
  #problems: string[] = []
  #env: Env

  constructor(env: Env) {
    this.#env = env
  }

  refuse(name: string, why: string): void {
    this.#problems.push(`${name}: ${why}`)
  }

  done(): void {
    if (this.#problems.length > 0) throw new ConfigError(`bad settings\n  ${this.#problems.join('\n  ')}`)
  }

  /** An empty value counts as not set, as in a .env file with `NAME=`. */
  optional(name: string): string | null {
    return this.#env[name]?.trim() || null
  }

  text(name: string, fallback: string): string {
    return this.optional(name) ?? fallback
  }

  integer(name: string, fallback: number, least: number, most: number): number {
    const text = this.optional(name)
    if (text === null) return fallback
    const value = Number(text)
    if (Number.isInteger(value) && value >= least && value <= most) return value
    this.refuse(name, `"${text}" is not a whole number from ${least} to ${most}`)
    return fallback
  }

  flag(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ['true', 'false'], fallback ? 'true' : 'false') === 'true'
  }

  oneOf<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.optional(name)
    if (text === null) return fallback
    const found = choices.find((choice) => choice === text.toLowerCase())
    if (!found) this.refuse(name, `"${text}" is not one of ${choices.join(', ')}`)
    return found ?? fallback
  }

  roles(name: string, fallback: readonly Role[]): readonly Role[] {
    const text = this.optional(name)
    if (text === null) return fallback
    const roles = [...new Set(text.split(',').map((role) => role.trim()))]
    const known = roles.filter((role): role is Role => role === 'api' || role === 'worker')
    if (known.length !== roles.length) this.refuse(name, `"${text}" is not a list of api, worker`)
    return known
  }

  databaseUrl(name: string): string | null {
    const text = this.optional(name)
    if (text !== null && !/^postgres(ql)?:\/\//.test(text)) this.refuse(name, 'is not a postgres:// URL')
    return text
  }

  dockerHost(name: string, fallback: string): string {
    const text = this.text(name, fallback)
    if (!/^(unix:\/\/\/|tcp:\/\/|https?:\/\/).+/.test(text)) {
      this.refuse(name, `"${text}" is not unix:///path or tcp://host:port`)
    }
    return text
  }

  domain(name: string, fallback: string): string {
    const text = this.text(name, fallback).toLowerCase()
    if (!/^(?=.{1,190}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(text)) {
      this.refuse(name, `"${text}" is not a domain name`)
    }
    return text
  }

  imagePrefix(name: string, fallback: string): string {
    const text = this.text(name, fallback)
    if (!/^[a-z0-9]{1,20}$/.test(text)) this.refuse(name, `"${text}" is not 1 to 20 of a-z and 0-9`)
    return text
  }

  token(name: string): string | null {
    const text = this.optional(name)
    if (text !== null && text.length < 16) this.refuse(name, 'must be 16 characters or more')
    return text
  }

  masterKey(name: string): string | null {
    const text = this.optional(name)
    if (text !== null && !/^([0-9a-f]{64}|[A-Za-z0-9+/]{43}=)$/i.test(text)) {
      this.refuse(name, 'must be 32 bytes in hex (64 digits) or base64; make one with: openssl rand -hex 32')
    }
    return text
  }
}
