import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { ConfigError } from '../../src/config.js'
import { engineAddress } from '../../src/engine/docker/engine-address.js'
import { findEngine } from '../../src/engine/docker/find-engine.js'

const DESKTOP = 'unix:///home/ann/.docker/desktop/docker.sock'

describe('the Docker engine', () => {
  let home = ''
  beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'longshore-home-'))))
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const usual = () => join(home, 'run/docker.sock')
  const write = (path: string, content: string | object) => {
    mkdirSync(dirname(join(home, path)), { recursive: true })
    writeFileSync(join(home, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  const find = (env: Record<string, string> = {}) => findEngine({ HOME: home, ...env }, usual())
  const idOf = (name: string) => createHash('sha256').update(name).digest('hex')
  /** As `docker context create` writes it. */
  const context = (name: string, host: string, folder = '.docker') =>
    write(`${folder}/contexts/meta/${idOf(name)}/meta.json`, {
      Name: name,
      Metadata: {},
      Endpoints: { docker: { Host: host, SkipTLSVerify: false } },
    })
  const use = (name: string) => write('.docker/config.json', { auths: {}, currentContext: name })
  const refused = (env: Record<string, string>, text: RegExp) =>
    assert.throws(
      () => find(env),
      (error: Error) => error instanceof ConfigError && text.test(error.message),
    )

  test('is at the usual socket where nothing says anything else', () => {
    const place = find()
    assert.deepEqual(place, {
      host: `unix://${usual()}`,
      from: 'the default socket',
      isNamed: false,
      warnings: [],
    })
    write('.docker/config.json', { auths: {} })
    assert.deepEqual(find(), place)
    use('default')
    assert.deepEqual(find(), place)
    assert.deepEqual(find({ DOCKER_CONTEXT: 'default', DOCKER_HOST: ' ' }), place)
  })

  test('is where the current context of the command line says', () => {
    context('desktop-linux', DESKTOP)
    use('desktop-linux')
    const { host, from, isNamed, warnings } = find()
    assert.deepEqual([host, isNamed, warnings], [DESKTOP, true, []])
    assert.match(from, /^the Docker context "desktop-linux" of \/.*\/\.docker\/config\.json$/)
  })

  test('is where DOCKER_CONTEXT says before that, and where DOCKER_HOST says before both', () => {
    context('desktop-linux', DESKTOP)
    context('colima', 'unix:///home/ann/.colima/default/docker.sock')
    use('desktop-linux')
    const env = { DOCKER_CONTEXT: 'colima' }
    assert.equal(find(env).host, 'unix:///home/ann/.colima/default/docker.sock')
    assert.equal(find({ DOCKER_CONTEXT: 'default' }).host, `unix://${usual()}`)
    const named = find({ ...env, DOCKER_HOST: 'tcp://10.0.0.1:2375' })
    assert.deepEqual([named.host, named.from], ['tcp://10.0.0.1:2375', 'DOCKER_HOST'])
  })

  test('is looked for in DOCKER_CONFIG', () => {
    context('remote', 'tcp://10.0.0.2:2375', 'elsewhere')
    write('elsewhere/config.json', { currentContext: 'remote' })
    assert.equal(find({ DOCKER_CONFIG: join(home, 'elsewhere') }).host, 'tcp://10.0.0.2:2375')
  })

  test('is the one of rootless Docker where the usual socket is not there', () => {
    const env = { XDG_RUNTIME_DIR: join(home, 'user') }
    assert.equal(find(env).host, `unix://${usual()}`, 'neither is there')
    write('user/docker.sock', '')
    const { host, isNamed } = find(env)
    assert.deepEqual([host, isNamed], [`unix://${home}/user/docker.sock`, false])
    write('run/docker.sock', '')
    assert.equal(find(env).host, `unix://${usual()}`, 'both are there')
  })

  test('is not guessed where a context cannot be used', () => {
    context('box', 'ssh://ann@box')
    use('box')
    refused(
      {},
      /context "box" of .*config\.json: "ssh:\/\/ann@box" is not supported: .*ssh -N -L.*DOCKER_HOST/,
    )
    context('win', 'npipe:////./pipe/docker_engine')
    refused({ DOCKER_CONTEXT: 'win' }, /context "win" of DOCKER_CONTEXT: "npipe:.* is not unix:\/\/\//)
    context('far', 'tcp://far:2376')
    assert.equal(find({ DOCKER_CONTEXT: 'far' }).host, 'tcp://far:2376')
    write(`.docker/contexts/tls/${idOf('far')}/docker/ca.pem`, 'PEM')
    refused(
      { DOCKER_CONTEXT: 'far' },
      /context "far" of DOCKER_CONTEXT requires TLS at tcp:\/\/far:2376 .*DOCKER_HOST/,
    )
  })

  test('is at the usual socket, and it is said, where files of the current context are missing or broken', () => {
    const passedOver = (text: RegExp) => {
      const { host, isNamed, warnings } = find()
      assert.deepEqual([host, isNamed, warnings.length], [`unix://${usual()}`, false, 1])
      assert.match(warnings[0] ?? '', text)
    }
    use('gone')
    passedOver(
      /^the Docker context "gone", set by .*config\.json, does not exist: .*meta\.json is missing; using/,
    )
    write(`.docker/contexts/meta/${idOf('gone')}/meta.json`, '{"Endpoints": {')
    passedOver(/meta\.json cannot be read: .*JSON/)
    write(`.docker/contexts/meta/${idOf('gone')}/meta.json`, { Endpoints: { kubernetes: {} } })
    passedOver(/context "gone" names no engine/)
    write('.docker/config.json', { currentContext: 7 })
    passedOver(/config\.json is broken: currentContext is not a string/)
    for (const content of ['', 'null', '"text"', '{"currentContext": "x"']) {
      write('.docker/config.json', content)
      passedOver(/config\.json cannot be read/)
    }
    rmSync(join(home, '.docker'), { recursive: true })
    write('.docker', 'a file where a folder should be')
    assert.deepEqual(find().warnings, [])
  })

  test('is where a file may not be read that names it: it is said', (context) => {
    if (process.getuid?.() === 0) return context.skip('root may read everything')
    write('.docker/config.json', { currentContext: 'x' })
    chmodSync(join(home, '.docker/config.json'), 0)
    assert.match(find().warnings[0] ?? '', /config\.json cannot be read: EACCES/)
  })

  test('is not guessed where DOCKER_CONTEXT names none', () => {
    refused(
      { DOCKER_CONTEXT: 'gone' },
      /^DOCKER_CONTEXT: the Docker context "gone", set by DOCKER_CONTEXT, does not exist/,
    )
  })

  test('cannot be where a DOCKER_HOST is none, or asks for certificates', () => {
    refused(
      { DOCKER_HOST: '/var/run/docker.sock' },
      /^DOCKER_HOST: .* did you mean unix:\/\/\/var\/run\/docker\.sock\?/,
    )
    refused({ DOCKER_HOST: 'ssh://box' }, /^DOCKER_HOST: "ssh:\/\/box" is not supported/)
    refused(
      { DOCKER_HOST: 'tcp://h:2376', DOCKER_TLS_VERIFY: '1' },
      /DOCKER_TLS_VERIFY requires client certificates/,
    )
    refused(
      { DOCKER_HOST: 'https://h:2376', DOCKER_CERT_PATH: '/c' },
      /DOCKER_CERT_PATH requires client certificates/,
    )
    const both = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/c' }
    assert.equal(find({ DOCKER_HOST: 'unix:///s', ...both }).host, 'unix:///s')
  })
})

test('a DOCKER_HOST is taken apart, or refused', () => {
  const http = (host: string, port: number) => ({ protocol: 'http', host, port })
  assert.deepEqual(engineAddress('unix:///run/d.sock'), { socketPath: '/run/d.sock' })
  assert.deepEqual(engineAddress('tcp://docker'), http('docker', 2375))
  assert.deepEqual(engineAddress('http://10.0.0.1:80/'), http('10.0.0.1', 80))
  assert.deepEqual(engineAddress('tcp://[::1]:2375'), http('::1', 2375))
  assert.deepEqual(engineAddress('https://d:443'), { ...http('d', 443), protocol: 'https' })
  const wrong = [
    'unix://',
    'unix://run/d.sock',
    'docker:2375',
    'tcp://',
    'tcp://h:0',
    'tcp://h:65536',
    'tcp://h:x',
  ]
  for (const text of [...wrong, 'tcp://h:1/path', 'tcp://u:p@h:1', 'fd://3', 'tcp://a b']) {
    assert.equal(engineAddress(text), null, text)
  }
})
