import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readConfig } from '../../src/config.js'

test('a token with white space in it is refused: nobody could send it', () => {
  assert.throws(() => readConfig({ ADMIN_TOKEN: 'a token of many words' }), /\n {2}ADMIN_TOKEN: .*whitespace/)
})

describe('the settings of routing', () => {
  test('give out the port that browsers come to', () => {
    const traefik = { ROUTER: 'traefik', TRAEFIK_DIR: '/srv/dynamic' }
    assert.equal(readConfig(traefik).publicPort, 80)
    assert.equal(readConfig({ ...traefik, TRAEFIK_CERT_RESOLVER: 'le' }).publicPort, 443)
    assert.equal(readConfig({ ROUTER: 'traefik-labels' }).publicPort, 80)
  })

  test('name the folder that Traefik watches, where a worker writes to it', () => {
    assert.throws(() => readConfig({ ROUTER: 'traefik' }), /\n {2}TRAEFIK_DIR: .+$/)
    readConfig({ ROUTER: 'traefik', ROLES: 'api', DATABASE_URL: 'postgres://h/d' })
    const config = readConfig({
      ROUTER: 'traefik',
      TRAEFIK_DIR: '/srv/dynamic',
      TRAEFIK_API: 'http://traefik:8080/',
      TRAEFIK_ENTRYPOINT: 'http',
      TRAEFIK_CERT_RESOLVER: 'le',
    })
    assert.deepEqual(config.traefik, {
      dir: '/srv/dynamic',
      url: 'http://127.0.0.1:80',
      api: 'http://traefik:8080',
      entryPoint: 'http',
      tlsEntryPoint: 'websecure',
      certResolver: 'le',
    })
    // Labels are read by Traefik alone: without an address of it nobody asks.
    assert.equal(readConfig({ ROUTER: 'traefik-labels' }).traefik.url, null)
  })
})
