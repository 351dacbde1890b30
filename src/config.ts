import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { readRouting, type RouterChoice, type TraefikConfig } from './config-routing.js'
import { type ConnectionLimits, type Env, SettingReader } from './setting-reader.js'

export type { RouterChoice, TraefikConfig } from './config-routing.js'
export { ConfigError, type ConnectionLimits, type Env } from './setting-reader.js'

/** What a process of Longshore does: `api` answers requests, `worker` deploys and routes. */
export type Role = 'api' | 'worker'
export type BuilderChoice = 'auto' | 'buildkit' | 'classic'

/** Base images of what is detected. `{version}` stands for the version that the repository asks for. */
export interface BaseImages {
  readonly node: string
  readonly python: string
  readonly go: string
  readonly rust: string
  /** What programs of Go and Rust run in. */
  readonly runtime: string
  /** Serves static files: has busybox' httpd. */
  readonly static: string
}

/** Every setting, decided and checked. Durations are milliseconds, sizes bytes. */
export interface Config {
  readonly roles: readonly Role[]
  /** Null: the embedded PostgreSQL under `dataDir` is used. */
  readonly databaseUrl: string | null
  readonly dataDir: string
  /** Null: it is to be found ({@link dockerEnvironment}). */
  readonly dockerHost: string | null
  readonly baseDomain: string
  readonly host: string
  readonly port: number
  /** Where the API is reached from outside, without a slash at the end: in the URLs of webhooks. */
  readonly publicUrl: string
  /** Pages of these origins may call the API from a browser. */
  readonly corsOrigins: readonly string[]
  /** Open connections to the API, WebSockets among them. */
  readonly connections: ConnectionLimits
  /** Addresses and networks of proxies in front of the API and the built-in router. */
  readonly trustedProxies: readonly string[]
  /** What carries requests to containers: docs/routing.md says what each promises. */
  readonly router: RouterChoice
  readonly routerHost: string
  readonly routerPort: number
  /** Certificates of the built-in router, `{host}/fullchain.pem` and `{host}/privkey.pem`; null: it speaks HTTP only. */
  readonly tlsDir: string | null
  readonly routerTlsPort: number
  /** Open connections of clients to the built-in router. */
  readonly routerConnections: ConnectionLimits
  readonly traefik: TraefikConfig
  /** The port in the URLs that are given out: the built-in router's, or 80 (443 with TLS) where another one routes. */
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
  /** Memory of all builds at once; null: three quarters of the engine's machine. */
  readonly buildMemoryBytes: number | null
  /** CPUs of all builds at once; null: what is idle. */
  readonly buildCpus: number | null
  /** Where the engine runs steps of BuildKit, below the root of the cgroups. */
  readonly buildCgroup: string
  readonly baseImages: BaseImages
  /** Of one attempt to fetch. */
  readonly cloneTimeoutMs: number
  /** How long a server may send nothing during a fetch. */
  readonly fetchSilenceMs: number
  /** How long a fetch is tried again after its first failure, where that may pass. */
  readonly fetchRetryMs: number
  readonly buildTimeoutMs: number
  readonly buildSilenceMs: number
  readonly drainMs: number
  /** How long a new version is watched after traffic has moved to it. */
  readonly watchMs: number
  /** How long the router may take to follow. */
  readonly confirmMs: number
  readonly maxRepoBytes: number
  /** What all mirrors may take together. */
  readonly maxMirrorBytes: number
  /** What a build context may unpack to. */
  readonly maxContextBytes: number
  readonly maxContextFiles: number
  readonly minFreeDiskBytes: number
  /** Images kept for each stage beside the one that serves. */
  readonly keepReleases: number
  readonly logRetentionDays: number
  /** What fetches: the git binary, or nodegit where it is built. */
  readonly gitBackend: 'git' | 'nodegit'
  readonly allowFileRepos: boolean
  /** Certificates of CAs that repositories and forges are trusted by, beside those that everybody trusts. */
  readonly gitCaFile: string | null
  /** How often repositories are looked up for commits that no push has brought; 0: never without need. */
  readonly reconcileMs: number
  /** Forges' APIs may be told over http:// as well. */
  readonly allowInsecureForges: boolean
  readonly adminToken: string | null
  readonly masterKey: string | null
  /** Opens what was encrypted before `masterKey` took its place. */
  readonly masterKeyPrevious: string | null
  /** Only for tests: where the process kills itself. */
  readonly failpoint: string | null
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** Names this process in claims: host, process id and a random part. */
  readonly workerId: string
}

const SECOND = 1000
const MIB = 1024 * 1024

/**
 * Reads the settings. The only reader of `process.env` in the server.
 *
 * @throws ConfigError naming every setting that cannot be used and what it takes.
 */
export function readConfig(env: Env = process.env): Config {
  const read = new SettingReader(env)
  const config: Config = {
    roles: read.listOf('ROLES', ['api', 'worker']),
    databaseUrl: read.databaseUrl('DATABASE_URL'),
    dataDir: resolve(read.text('DATA_DIR', 'data')),
    ...readAddresses(read),
    ...readRouting(read),
    ...readEngine(read),
    ...readDocker(read),
    ...readBuilds(read),
    ...readGit(read),
    ...readDisk(read),
    adminToken: read.token('ADMIN_TOKEN'),
    masterKey: read.masterKey('MASTER_KEY'),
    masterKeyPrevious: read.masterKey('MASTER_KEY_PREVIOUS'),
    logLevel: read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    workerId: `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`,
  }
  if (!config.databaseUrl && config.roles.length < 2) {
    read.refuse('DATABASE_URL', 'must be set if ROLES names a single role: the processes share one database')
  }
  if (config.masterKeyPrevious && !config.masterKey) {
    read.refuse('MASTER_KEY_PREVIOUS', 'requires MASTER_KEY, the key that replaces it')
  }
  if (config.router === 'traefik' && config.roles.includes('worker') && config.traefik.dir === null) {
    read.refuse('TRAEFIK_DIR', 'must name the folder that Traefik watches if ROUTER=traefik')
  }
  read.done()
  return Object.freeze(config)
}

function readAddresses(read: SettingReader) {
  const host = read.text('HOST', '127.0.0.1')
  const port = read.integer('PORT', 8080, { min: 0, max: 65_535 })
  const local = ['0.0.0.0', '::'].includes(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return {
    baseDomain: read.domain('BASE_DOMAIN', 'localhost'),
    host,
    port,
    publicUrl: read.webAddress('PUBLIC_URL') ?? `http://${local}:${port}`,
    corsOrigins: read.origins('CORS_ORIGINS'),
    trustedProxies: read.networks('TRUSTED_PROXIES'),
    connections: read.connections('MAX_CONNECTIONS', 1024, 256),
  }
}

function readEngine(read: SettingReader) {
  return {
    concurrency: read.integer('ENGINE_CONCURRENCY', 2, { min: 1, max: 64 }),
    totalConcurrency: read.integer('ENGINE_TOTAL_CONCURRENCY', 0, { min: 0, max: 1024 }) || null,
    leaseMs: read.integer('LEASE_SECONDS', 30, { min: 1, max: 600 }) * SECOND,
    pollMs: read.integer('POLL_SECONDS', 2, { min: 1, max: 60 }) * SECOND,
    stopGraceMs: read.integer('STOP_GRACE_SECONDS', 25, { min: 0, max: 600 }) * SECOND,
    drainMs: read.integer('DRAIN_SECONDS', 10, { min: 0, max: 600 }) * SECOND,
    watchMs: read.integer('WATCH_SECONDS', 30, { min: 0, max: 3600 }) * SECOND,
    confirmMs: read.integer('ROUTER_CONFIRM_SECONDS', 15, { min: 1, max: 600 }) * SECOND,
    failpoint: read.optional('FAILPOINT'),
  }
}

function readDocker(read: SettingReader) {
  return {
    dockerHost: read.dockerHost('DOCKER_HOST'),
    dockerTimeoutMs: read.integer('DOCKER_TIMEOUT', 60, { min: 1, max: 600 }) * SECOND,
    imagePrefix: read.imagePrefix('IMAGE_PREFIX', 'mvp'),
  }
}

function readBuilds(read: SettingReader) {
  return {
    builder: read.oneOf('BUILDER', ['auto', 'buildkit', 'classic'], 'auto'),
    buildTimeoutMs: read.integer('BUILD_TIMEOUT', 1800, { min: 1, max: 86_400 }) * SECOND,
    buildSilenceMs: read.integer('BUILD_SILENCE_TIMEOUT', 600, { min: 1, max: 86_400 }) * SECOND,
    buildMemoryBytes: read.integer('BUILD_MEMORY_MIB', 0, { min: 0, max: 1024 * 1024 }) * MIB || null,
    buildCpus: read.decimal('BUILD_CPUS', 0, { min: 0, max: 1024 }) || null,
    buildCgroup: read.innerPath('BUILD_CGROUP', 'docker/buildkit'),
    baseImages: {
      node: read.image('DETECT_NODE_IMAGE', 'node:{version}-slim'),
      python: read.image('DETECT_PYTHON_IMAGE', 'python:{version}-slim'),
      go: read.image('DETECT_GO_IMAGE', 'golang:1-bookworm'),
      rust: read.image('DETECT_RUST_IMAGE', 'rust:{version}-bookworm'),
      runtime: read.image('DETECT_RUNTIME_IMAGE', 'debian:bookworm-slim'),
      static: read.image('DETECT_STATIC_IMAGE', 'busybox:stable'),
    },
  }
}

function readGit(read: SettingReader) {
  return {
    gitBackend: read.oneOf('GIT_BACKEND', ['git', 'nodegit'], 'git'),
    allowFileRepos: read.flag('ALLOW_FILE_REPOS', false),
    gitCaFile: read.optional('GIT_CA_FILE'),
    allowInsecureForges: read.flag('ALLOW_INSECURE_FORGES', false),
    reconcileMs: read.integer('RECONCILE_MINUTES', 60, { min: 0, max: 10_080 }) * 60 * SECOND,
    cloneTimeoutMs: read.integer('CLONE_TIMEOUT', 300, { min: 1, max: 86_400 }) * SECOND,
    fetchSilenceMs: read.integer('FETCH_SILENCE_TIMEOUT', 120, { min: 1, max: 86_400 }) * SECOND,
    fetchRetryMs: read.integer('FETCH_RETRY_SECONDS', 180, { min: 0, max: 86_400 }) * SECOND,
    maxRepoBytes: read.integer('MAX_REPO_MIB', 500, { min: 1, max: 1024 * 1024 }) * MIB,
    maxMirrorBytes: read.integer('MAX_MIRRORS_MIB', 10 * 1024, { min: 1, max: 16 * 1024 * 1024 }) * MIB,
    maxContextBytes: read.integer('MAX_CONTEXT_MIB', 1024, { min: 1, max: 1024 * 1024 }) * MIB,
    maxContextFiles: read.integer('MAX_CONTEXT_FILES', 200_000, { min: 1, max: 10_000_000 }),
  }
}

function readDisk(read: SettingReader) {
  return {
    buildCacheBytes: read.integer('BUILD_CACHE_MIB', 5 * 1024, { min: 64, max: 1024 * 1024 }) * MIB,
    minFreeDiskBytes: read.integer('MIN_FREE_DISK_MIB', 512, { min: 0, max: 1024 * 1024 }) * MIB,
    keepReleases: read.integer('KEEP_RELEASES', 5, { min: 0, max: 100 }),
    logRetentionDays: read.integer('LOG_RETENTION_DAYS', 30, { min: 1, max: 3650 }),
  }
}
