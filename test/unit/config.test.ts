import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { ConfigError, readConfig } from '../../src/config.js'

function problemsOf(env: Record<string, string>): string[] {
  try {
    readConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.code, 'BAD_CONFIG')
    return error.message.split('\n').slice(1)
  }
  return assert.fail(`accepted ${JSON.stringify(env)}`)
}

/** The settings that are complained about. */
function namesOf(problems: readonly string[]): string[] {
  return problems.map((line) => /^ {2}([A-Z_]+): ./.exec(line)?.[1] ?? `unreadable: ${line}`)
}

const NUMBERS: Record<string, readonly [least: number, most: number]> = {
  ROUTER_PORT: [1, 65_535],
  ROUTER_TLS_PORT: [1, 65_535],
  PORT: [0, 65_535],
  ENGINE_CONCURRENCY: [1, 64],
  LEASE_SECONDS: [1, 600],
  ENGINE_TOTAL_CONCURRENCY: [0, 1024],
  DOCKER_TIMEOUT: [1, 600],
  MIN_FREE_DISK_MIB: [0, 1024 * 1024],
  KEEP_RELEASES: [0, 100],
  LOG_RETENTION_DAYS: [1, 3650],
  POLL_SECONDS: [1, 60],
  STOP_GRACE_SECONDS: [0, 600],
  BUILD_CACHE_MIB: [64, 1024 * 1024],
  BUILD_MEMORY_MIB: [0, 1024 * 1024],
  ...({ DRAIN_SECONDS: [0, 600], WATCH_SECONDS: [0, 3600], FETCH_RETRY_SECONDS: [0, 86_400] } as const),
  ROUTER_CONFIRM_SECONDS: [1, 600],
  ...({ CLONE_TIMEOUT: [1, 86_400], FETCH_SILENCE_TIMEOUT: [1, 86_400] } as const),
  ...({ BUILD_TIMEOUT: [1, 86_400], BUILD_SILENCE_TIMEOUT: [1, 86_400] } as const),
  ...({ MAX_REPO_MIB: [1, 1024 ** 2], MAX_MIRRORS_MIB: [1, 16 * 1024 ** 2] } as const),
}

const BAD = {
  ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, 'many'])),
  ROUTER: 'nginx',
  TLS_DIR: 'certs',
  TRAEFIK_DIR: './dynamic',
  PUBLIC_URL: 'deploy.example.com',
  CORS_ORIGINS: 'https://app.example.com,*',
  TRAEFIK_URL: 'localhost:80',
  TRAEFIK_API: 'http://traefik:8080/api',
  TRAEFIK_ENTRYPOINT: 'web`',
  TRAEFIK_TLS_ENTRYPOINT: 'a,b',
  TRAEFIK_CERT_RESOLVER: '{{ env "X" }}',
  ROLES: 'api,worker,boss',
  DATABASE_URL: 'mysql://h/d',
  DOCKER_HOST: '/var/run/docker.sock',
  BASE_DOMAIN: 'not a domain',
  IMAGE_PREFIX: 'UPPER-case',
  BUILDER: 'make',
  BUILD_CPUS: '1,5',
  BUILD_CGROUP: '/docker/../buildkit',
  ...Object.fromEntries(
    ['NODE', 'PYTHON', 'GO', 'RUST', 'RUNTIME', 'STATIC'].map((name) => [`DETECT_${name}_IMAGE`, 'a RUN b']),
  ),
  GIT_BACKEND: 'svn',
  ...{ ALLOW_FILE_REPOS: 'yes', ALLOW_INSECURE_FORGES: 'yes' },
  ADMIN_TOKEN: 'short',
  MASTER_KEY: 'short',
  MASTER_KEY_PREVIOUS: 'short',
  LOG_LEVEL: 'loud',
}

describe('the settings', () => {
  test('have these defaults', () => {
    const { workerId, ...rest } = readConfig({})
    assert.match(workerId, new RegExp(`^.+:${process.pid}:[0-9a-f]{8}$`))
    assert.deepEqual(rest, {
      roles: ['api', 'worker'],
      databaseUrl: null,
      dataDir: resolve('data'),
      dockerHost: null,
      baseDomain: 'localhost',
      host: '127.0.0.1',
      port: 8080,
      publicUrl: 'http://127.0.0.1:8080',
      ...{ corsOrigins: [], trustedProxies: [], reconcileMs: 3_600_000 },
      connections: { total: 1024, perAddress: 256 },
      routerConnections: { total: 8192, perAddress: 2048 },
      router: 'builtin',
      routerHost: '0.0.0.0',
      routerPort: 8000,
      tlsDir: null,
      routerTlsPort: 8443,
      traefik: {
        dir: null,
        url: null,
        api: null,
        entryPoint: 'web',
        tlsEntryPoint: 'websecure',
        certResolver: null,
      },
      publicPort: 8000,
      imagePrefix: 'mvp',
      concurrency: 2,
      totalConcurrency: null,
      leaseMs: 30_000,
      pollMs: 2_000,
      stopGraceMs: 25_000,
      builder: 'auto',
      buildMemoryBytes: null,
      buildCpus: null,
      buildCgroup: 'docker/buildkit',
      baseImages: {
        node: 'node:{version}-slim',
        python: 'python:{version}-slim',
        go: 'golang:1-bookworm',
        rust: 'rust:{version}-bookworm',
        runtime: 'debian:bookworm-slim',
        static: 'busybox:stable',
      },
      dockerTimeoutMs: 60_000,
      buildCacheBytes: 5 * 1024 ** 3,
      minFreeDiskBytes: 512 * 1024 ** 2,
      keepReleases: 5,
      logRetentionDays: 30,
      failpoint: null,
      ...{ cloneTimeoutMs: 300_000, fetchSilenceMs: 120_000, fetchRetryMs: 180_000 },
      buildTimeoutMs: 1_800_000,
      buildSilenceMs: 600_000,
      drainMs: 10_000,
      watchMs: 30_000,
      confirmMs: 15_000,
      maxMirrorBytes: 10 * 1024 ** 3,
      ...{ maxRepoBytes: 500 * 1024 ** 2, maxContextBytes: 1024 ** 3, maxContextFiles: 200_000 },
      gitBackend: 'git',
      allowFileRepos: false,
      gitCaFile: null,
      allowInsecureForges: false,
      adminToken: null,
      masterKey: null,
      masterKeyPrevious: null,
      logLevel: 'info',
    })
  })

  test('are read, in their units', () => {
    const config = readConfig({
      ROLES: 'worker, api',
      DATABASE_URL: 'postgresql://h/d',
      DATA_DIR: '/srv/data',
      DOCKER_HOST: 'tcp://docker:2375',
      BASE_DOMAIN: 'Paas.Example.COM',
      HOST: '0.0.0.0',
      ROUTER_PORT: '9000',
      LEASE_SECONDS: '5',
      MAX_REPO_MIB: '2',
      BUILDER: 'BuildKit',
      BUILD_MEMORY_MIB: '64',
      BUILD_CPUS: '1.5',
      DETECT_NODE_IMAGE: 'mirror.example:5000/node:{version}@sha256:ab',
      ALLOW_FILE_REPOS: 'TRUE',
      ADMIN_TOKEN: '0123456789abcdef',
      MASTER_KEY: 'a'.repeat(64),
    })
    assert.deepEqual(
      [config.roles, config.databaseUrl, config.dataDir],
      [['worker', 'api'], 'postgresql://h/d', '/srv/data'],
    )
    assert.deepEqual(
      [config.dockerHost, config.baseDomain, config.host, config.publicPort],
      ['tcp://docker:2375', 'paas.example.com', '0.0.0.0', 9000],
    )
    assert.deepEqual([config.leaseMs, config.maxRepoBytes], [5000, 2 * 1024 * 1024])
    assert.deepEqual([config.buildMemoryBytes, config.buildCpus], [64 * 1024 * 1024, 1.5])
    assert.equal(config.baseImages.node, 'mirror.example:5000/node:{version}@sha256:ab')
    assert.deepEqual([config.builder, config.allowFileRepos], ['buildkit', true])
    assert.deepEqual([config.adminToken, config.masterKey], ['0123456789abcdef', 'a'.repeat(64)])
  })

  test('give out port 80 where another router stands before this one', () => {
    assert.equal(readConfig({ ROUTER: 'off', ROUTER_PORT: '9000' }).publicPort, 80)
  })

  test('that are empty count as not set', () => {
    const { workerId: _one, ...unset } = readConfig({})
    const empty = Object.fromEntries(
      Object.keys(BAD).map((name, index) => [name, index % 2 === 0 ? '' : '  ']),
    )
    const { workerId: _two, ...config } = readConfig({
      ...empty,
      DATA_DIR: '',
      HOST: '',
      ROUTER_HOST: '',
    })
    assert.deepEqual(config, unset)
  })

  test('that are bad are all named in one error, one line each', () => {
    assert.deepEqual(namesOf(problemsOf(BAD)).sort(), Object.keys(BAD).sort())
  })

  test('that are bad are named when they are alone, too', () => {
    for (const [name, value] of Object.entries(BAD))
      assert.deepEqual(namesOf(problemsOf({ [name]: value })), [name])
  })

  test('that are numbers are whole and within their limits', () => {
    for (const [name, [least, most]] of Object.entries(NUMBERS)) {
      for (const good of [least, most]) readConfig({ [name]: String(good) })
      for (const bad of [least - 1, most + 1, least + 0.5, 'Infinity', 'NaN', '1s', '1 2']) {
        const problems = problemsOf({ [name]: String(bad) })
        assert.deepEqual(namesOf(problems), [name], `${name}=${bad}`)
        assert.ok(problems[0]?.includes(`from ${least} to ${most}`))
      }
    }
  })

  test('that are secrets are not repeated in the error', () => {
    const text = problemsOf({
      ADMIN_TOKEN: 'hunter22',
      MASTER_KEY: 'swordfish',
      MASTER_KEY_PREVIOUS: 'swordfish',
      DATABASE_URL: 'mysql://u:pass@h',
    }).join()
    assert.ok(!/hunter22|swordfish|pass@/.test(text))
  })

  test('name the roles once each, and one role alone needs a database of its own', () => {
    assert.deepEqual(readConfig({ ROLES: 'api,api', DATABASE_URL: 'postgres://h/d' }).roles, ['api'])
    assert.deepEqual(namesOf(problemsOf({ ROLES: 'worker' })), ['DATABASE_URL'])
  })

  test('take a master key of 32 bytes in hex or base64', () => {
    const key = Buffer.alloc(32, 251)
    for (const text of [key.toString('hex'), key.toString('hex').toUpperCase(), key.toString('base64')]) {
      assert.equal(readConfig({ MASTER_KEY: text }).masterKey, text)
    }
    const wrong = ['a'.repeat(63), 'a'.repeat(65), 'g'.repeat(64), Buffer.alloc(31).toString('base64')]
    for (const text of wrong)
      assert.deepEqual(namesOf(problemsOf({ MASTER_KEY: text })), ['MASTER_KEY'], text)
  })

  test('take the key before only beside the one that takes its place', () => {
    const [MASTER_KEY, MASTER_KEY_PREVIOUS] = ['a'.repeat(64), 'b'.repeat(64)]
    assert.equal(readConfig({ MASTER_KEY, MASTER_KEY_PREVIOUS }).masterKeyPrevious, MASTER_KEY_PREVIOUS)
    assert.deepEqual(namesOf(problemsOf({ MASTER_KEY_PREVIOUS })), ['MASTER_KEY_PREVIOUS'])
  })

  test('take a domain name only where every label is one', () => {
    for (const domain of ['localhost', 'a.b', '10.0.0.1.nip.io']) readConfig({ BASE_DOMAIN: domain })
    const wrong = '.a a. a..b -a a- a_b a/b a:80 *.a a`b'.split(' ')
    for (const domain of [...wrong, 'a'.repeat(191)]) {
      assert.deepEqual(namesOf(problemsOf({ BASE_DOMAIN: domain })), ['BASE_DOMAIN'], domain)
    }
  })

  test('cannot be changed afterwards', () => assert.ok(Object.isFrozen(readConfig({}))))
})
