import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dynamicFile } from '../../src/engine/routing/traefik-dynamic.js'
import { parse, PLAIN, STAGE } from '../support/traefik-file.js'

describe('a file of Traefik', () => {
  test('says its epoch first, then which host goes to which containers', () => {
    const text = dynamicFile(STAGE, PLAIN)
    assert.equal(text?.split('\n')[0], '# longshore route_epoch=7')
    const { routers, services, middlewares } = parse(text)
    assert.deepEqual(
      Object.values(routers).map(({ rule, service, entryPoints, tls }) => [rule, service, entryPoints, tls]),
      [
        ['Host(`shop-old1.test.example`)', 'longshore-old1', ['web'], undefined],
        ['Host(`shop.test.example`)', 'longshore-new1', ['web'], undefined],
        ['Host(`shop.example`)', 'longshore-new1', ['web'], undefined],
        ['Host(`epoch-7.stage1.longshore.invalid`)', 'noop@internal', ['web'], undefined],
        ['Host(`www.shop.example`)', 'noop@internal', ['web'], undefined],
      ],
    )
    assert.deepEqual(services, {
      'longshore-old1': { loadBalancer: { passHostHeader: true, servers: [{ url: 'http://10.0.0.1:80' }] } },
      'longshore-new1': {
        loadBalancer: {
          passHostHeader: true,
          servers: [{ url: 'http://10.0.0.2:3000' }, { url: 'http://10.0.0.3:3000' }],
        },
      },
    })
    const [redirect] = routers['longshore-stage1-www_shop_example']?.middlewares ?? []
    assert.deepEqual(middlewares?.[redirect ?? ''], {
      redirectRegex: {
        regex: '^https?://[^/:]+(:[0-9]+)?/(.*)$',
        replacement: 'http://shop.example${1}/${2}',
        permanent: true,
      },
    })
  })

  test('has TLS where a resolver is set: HTTP redirects, but never before a deployment’s own host', () => {
    const { routers, middlewares } = parse(dynamicFile(STAGE, { ...PLAIN, certResolver: 'le' }))
    for (const name of ['longshore-stage1-shop_example-tls', 'longshore-stage1-www_shop_example-tls']) {
      const { entryPoints, tls } = routers[name] ?? {}
      assert.deepEqual({ entryPoints, tls }, { entryPoints: ['websecure'], tls: { certResolver: 'le' } })
    }
    const [upgrade = ''] = routers['longshore-stage1-shop_example']?.middlewares ?? []
    assert.deepEqual(middlewares?.[upgrade], { redirectScheme: { scheme: 'https', permanent: true } })
    const own = routers['longshore-stage1-shop-old1_test_example']
    assert.deepEqual([own?.entryPoints, own?.middlewares], [['web'], ['longshore-old1-mark']])
    const secureOwn = routers['longshore-stage1-shop-old1_test_example-tls']
    assert.deepEqual([secureOwn?.entryPoints, secureOwn?.tls], [['websecure'], {}])
  })

  test('is none where nothing is routed, and holds no empty map', () => {
    const nothing = { ...STAGE, current: null, deployments: [], redirects: new Map<string, string>() }
    assert.equal(dynamicFile(nothing, PLAIN), null)
    const ending = { ...nothing, redirects: STAGE.redirects }
    assert.deepEqual(Object.keys(parse(dynamicFile(ending, PLAIN))), ['routers', 'middlewares'])
  })

  test('takes IPv6 addresses, and no address that is none', () => {
    const at = (address: string) =>
      dynamicFile(
        { ...STAGE, current: { deploymentId: 'new1', addresses: [address], port: 80 }, deployments: [] },
        PLAIN,
      )
    assert.match(at('fd00::2') ?? '', /"http:\/\/\[fd00::2\]:80"/)
    for (const bad of ['', 'host', '10.0.0.1:80', '10.0.0.1/', 'fe80::1%eth0', '{{ env "X" }}']) {
      assert.throws(() => at(bad), /is not the address/, bad)
    }
  })
})
