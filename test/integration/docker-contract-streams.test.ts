import { after, before, describe, test } from 'node:test'
import { type Engines, openEngines } from '../support/docker-engines.js'
import { at, type DockerAnswer, fields, filters } from '../support/docker-http.js'
import { until } from '../support/server.js'

/** Events, logs, health and networks: the same calls on both engines. */
describe('the fake engine tells as the real one', () => {
  let engines: Engines
  before(async () => {
    engines = await openEngines()
  })
  after(() => engines[Symbol.asyncDispose]())

  const same: Engines['same'] = (work) => engines.same(work)
  test('events of a container, in their order, with its labels', () =>
    same(async (engine) => {
      const name = `${engine.mark}-events`
      const wanted = filters({ type: ['container'], label: [`contract=${engine.mark}`, 'events=1'] })
      using stream = await engine.http.follow(`/events?${wanted}`)
      await engine.create(name, 'busybox sleep 100', { labels: { events: '1' }, policy: 'unless-stopped' })
      for (const path of ['start', 'stop?t=1', 'start', 'restart?t=1', 'kill', 'start']) {
        await engine.call('POST', `/containers/${name}/${path}`)
        if (path === 'kill') await engine.call('POST', `/containers/${name}/wait`)
      }
      await engine.call('POST', `/containers/${name}/update`, { RestartPolicy: { Name: 'no' } })
      await engine.call('POST', `/containers/${name}/rename?name=${name}-2`)
      await engine.call('DELETE', `/containers/${name}-2?force=1`)
      await until(() => stream.lines.some(({ Action }) => Action === 'destroy'))
      const told = stream.lines.map((event) => {
        const { name, contract, events, exitCode } = at(event, 'Actor.Attributes') as Record<string, string>
        return [event.Action, name, contract === engine.mark, events, exitCode]
          .join()
          .replace(engine.mark, '')
      })
      // Where these stand among the others is each engine's own affair.
      const isLoose = (one: string) => /^(stop|restart),/.test(one)
      return [told.filter((one) => !isLoose(one)), told.filter(isLoose)]
    }))

  test('events of the past, up to now, of one kind', () =>
    same(async (engine) => {
      const name = `${engine.mark}-past`
      const since = Date.now() / 1000
      await engine.create(name, 'exit 4')
      await engine.call('POST', `/containers/${name}/start`)
      await engine.call('POST', `/containers/${name}/wait`)
      await new Promise((resolve) => setTimeout(resolve, 100))
      const wanted = filters({ container: [name], event: ['start', 'die'] })
      const range = `since=${since.toFixed(3)}&until=${(Date.now() / 1000).toFixed(3)}`
      using stream = await engine.http.follow(`/events?${range}&${wanted}`)
      await stream.ended
      return stream.lines.map((event) => [event.Action, at(event, 'Actor.Attributes.exitCode')])
    }))

  for (const [health, test_] of [
    ['healthy', 'true'],
    ['unhealthy', 'false'],
  ] as const) {
    test(`a container becomes ${health}, and that is an event`, () =>
      same(async (engine) => {
        const name = `${engine.mark}-${health}`
        using stream = await engine.http.follow(
          `/events?${filters({ container: [name], event: ['health_status'] })}`,
        )
        const healthcheck = { Test: ['CMD', '/bin/busybox', test_], Interval: 100_000_000, Retries: 1 }
        await engine.create(name, 'busybox sleep 100', { healthcheck })
        await engine.call('POST', `/containers/${name}/start`)
        await until(async () => at(await engine.inspect(name), 'State.Health.Status') === health)
        await until(() => stream.lines.length > 0)
        const running = (await engine.call('GET', `/containers/json?${filters({ name: [name] })}`)).text
        // Before the stop: a check that it breaks off is another event.
        const events = stream.lines.map(({ Action }) => Action)
        await engine.call('POST', `/containers/${name}/stop?t=1`)
        const stopped = at(await engine.inspect(name), 'State.Health.Status')
        return [events, /\((\w+)\)"/.exec(running)?.[1], stopped]
      }))
  }

  test('logs: frames of either stream, the last lines, and as they come', () =>
    same(async (engine) => {
      const name = `${engine.mark}-logs`
      await engine.create(name, 'echo one; echo "zwei ä"; busybox sleep 0.3; echo three')
      await engine.call('POST', `/containers/${name}/start`)
      const logs = async (query: string) => {
        const answer = await engine.call('GET', `/containers/${name}/logs?${query}`)
        return answer.status === 200 ? answer.body.toString('hex') : engine.said(answer)
      }
      const followed = await logs('stdout=1&stderr=1&follow=1')
      const others = [
        'stdout=1&stderr=1',
        'stdout=1',
        'stderr=1',
        'stdout=1&tail=2',
        'stdout=1&tail=0',
        'stdout=1&tail=all',
        '',
      ]
      return [followed, ...(await Promise.all(others.map(logs)))]
    }))

  test('waiting for the next end, and for the removal', () =>
    same(async (engine) => {
      const name = `${engine.mark}-wait`
      await engine.create(name, 'busybox sleep 100')
      const codeOf = (answer: DockerAnswer) => [answer.status, answer.json().StatusCode]
      const created = codeOf(await engine.call('POST', `/containers/${name}/wait`))
      await engine.call('POST', `/containers/${name}/start`)
      const waits = ['not-running', 'next-exit', 'removed'].map((condition) =>
        engine.call('POST', `/containers/${name}/wait?condition=${condition}`),
      )
      await new Promise((resolve) => setTimeout(resolve, 50))
      await engine.call('DELETE', `/containers/${name}?force=1`)
      return [created, (await Promise.all(waits)).map(codeOf)]
    }))

  test('networks: made once, found by name, joined and left', () =>
    same(async (engine) => {
      const [net, name] = [`${engine.mark}-net`, `${engine.mark}-joins`]
      const post = async (path: string, body: object) =>
        engine.said(await engine.call('POST', `/networks/${path}`, body))
      const made = [
        await post('create', { Name: net }),
        await post('create', { Name: net, CheckDuplicate: true }),
      ]
      const found = (await engine.call('GET', `/networks?${filters({ name: [net] })}`)).json<object[]>()
      await engine.create(name, 'busybox sleep 100')
      await engine.call('POST', `/containers/${name}/start`)
      const joins = [
        await post(`${net}/connect`, { Container: name }),
        await post(`${net}/connect`, { Container: name }),
      ]
      const joined = Object.keys(at(await engine.inspect(name), 'NetworkSettings.Networks') as object).length
      const leaves = [
        await post(`${net}/disconnect`, { Container: name }),
        await post(`${net}/disconnect`, { Container: name }),
        await post(`${net}/disconnect`, { Container: 'nope' }),
      ]
      const removed = [engine.said(await engine.call('DELETE', `/networks/${net}`))]
      return [
        made,
        found.map((one) => fields(one, ['Driver', 'Scope', 'Labels'], ['Name', 'Id', 'Created'])),
        joins,
        joined,
        leaves,
        removed,
      ]
    }))
})
