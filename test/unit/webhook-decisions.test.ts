import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CommandError } from '../../src/engine/command-error.js'
import { StepBudget } from '../../src/engine/paths/step-budget.js'
import { decide, type StageRules } from '../../src/engine/webhooks/decide.js'
import { checkGlob, checkWatchPaths, watchesAny } from '../../src/engine/webhooks/globs.js'
import { readEvent } from '../../src/engine/webhooks/payloads.js'
import type { Push } from '../../src/engine/webhooks/push.js'
import { Forge } from '../../src/entities/webhook-delivery.js'
import { mixedTexts } from '../support/mixed-texts.js'
import { bitbucket, gitea, githubBody, gitlabBody, NONE, type PushFacts, sha } from '../support/forges.js'

const FACTS: PushFacts = { ref: 'refs/heads/main', after: sha(2), modified: ['apps/web/index.ts'] }
const STAGE: StageRules = {
  id: 's',
  name: 'production',
  branch: 'main',
  tags: null,
  autoDeploy: true,
  stopped: false,
  stopOnBranchDeletion: false,
}

function read(forge: Forge, body: string, event = 'push'): Push {
  const found = readEvent({ forge, event, contentType: 'application/json', body: Buffer.from(body) })
  assert.ok(found.kind === 'push' && found.pushes[0])
  return found.pushes[0]
}
const push = (facts: Partial<PushFacts> = {}) => read(Forge.GITHUB, githubBody({ ...FACTS, ...facts }))
async function reason(
  pushed: Push,
  stage: Partial<StageRules> = {},
  watchPaths: string[] = [],
): Promise<string | null> {
  const [choice] = await decide(pushed, [{ ...STAGE, ...stage }], watchPaths)
  assert.ok(choice && choice.deploys === (choice.reason === ''))
  return choice.deploys ? null : choice.reason
}

describe('a push is read', () => {
  test('the same from every forge that tells all of it', () => {
    const same = {
      kind: 'branch',
      name: 'feature/a/b',
      ref: 'refs/heads/feature/a/b',
      sha: sha(2),
      before: sha(1),
      hasBefore: true,
      message: 'Change',
      changedPaths: ['apps/web/index.ts'],
      defaultBranch: 'main',
    }
    const facts = { ...FACTS, ref: 'refs/heads/feature/a/b' }
    assert.deepEqual(read(Forge.GITHUB, githubBody(facts)), same)
    assert.deepEqual(read(Forge.GITEA, gitea('', facts).body), same)
    assert.deepEqual(read(Forge.GITLAB, gitlabBody(facts)), same)
    const cloud = read(Forge.BITBUCKET, bitbucket('', [facts]).body, 'repo:push')
    assert.deepEqual(cloud, { ...same, changedPaths: null, defaultBranch: null })
  })

  test('without a list of paths wherever the forge may have left some out', () => {
    assert.equal(push({ before: NONE }).changedPaths, null)
    assert.equal(push({ forced: true }).changedPaths, null)
    assert.equal(push({ modified: [] }).changedPaths, null)
    assert.equal(push({ modified: Array<string>(3000).fill('a') }).changedPaths, null)
    assert.equal(read(Forge.GITLAB, gitlabBody({ ...FACTS, total: 21 })).changedPaths, null)
    assert.equal(read(Forge.GITEA, gitea('', { ...FACTS, total: 6 }).body).changedPaths, null)
  })

  test('at the commit of an annotated tag, not at the tag’s own object', () => {
    const ref = 'refs/tags/v1'
    const hub = JSON.parse(githubBody({ ...FACTS, ref })) as { after: string }
    assert.equal(read(Forge.GITHUB, JSON.stringify({ ...hub, after: sha(99) })).sha, sha(2))
    const lab = JSON.parse(gitlabBody({ ...FACTS, ref })) as { after: string }
    assert.equal(read(Forge.GITLAB, JSON.stringify({ ...lab, after: sha(99) })).sha, sha(2))
  })

  const wrong: Record<string, string> = {
    'not JSON': '{',
    'a list': '[]',
    'a number': '7',
    null: 'null',
    'no ref': '{}',
    'a ref that is a list': `{"ref":["refs/heads/main"],"after":"${sha(2)}"}`,
    'a short ref': `{"ref":"main","after":"${sha(2)}"}`,
    'a ref with a NUL': `{"ref":"refs/heads/a\\u0000b","after":"${sha(2)}"}`,
    'half a character': `{"ref":"refs/heads/\\ud800","after":"${sha(2)}"}`,
    'a long ref': `{"ref":"refs/heads/${'a'.repeat(300)}","after":"${sha(2)}"}`,
    'no commit': '{"ref":"refs/heads/main"}',
    'a commit that is an option': '{"ref":"refs/heads/main","after":"--upload-pack=x"}',
    'an abbreviated commit': '{"ref":"refs/heads/main","after":"abc1234"}',
    'deep nesting': '['.repeat(200_000),
    'deep nesting that ends': '['.repeat(200_000) + ']'.repeat(200_000),
    'an inherited field': '{"__proto__":{"ref":"refs/heads/main"}}',
  }
  for (const [name, body] of Object.entries(wrong)) {
    test(`not at all from ${name}`, () => {
      for (const forge of Object.values(Forge)) {
        const event = forge === Forge.BITBUCKET ? 'repo:push' : 'push'
        const bytes = Buffer.from(forge === Forge.GITLAB ? body.replace('{', '{"object_kind":"push",') : body)
        const asked = { forge, event, contentType: 'application/json', body: bytes }
        if (forge === Forge.GITLAB && bytes.includes(',}')) continue
        assert.equal(readEvent(asked).kind, 'unreadable', forge)
      }
    })
  }

  test('although other fields have types that nobody expects', () => {
    const body = { ref: 'refs/heads/main', after: sha(2), before: sha(1), commits: [null, 7, { added: 'x' }] }
    const odd = { ...body, head_commit: [], repository: 'none', forced: 'yes' }
    const found = read(Forge.GITHUB, JSON.stringify(odd))
    assert.deepEqual([found.changedPaths, found.message, found.defaultBranch], [null, null, null])
  })
})

describe('a stage deploys', () => {
  test('its own branch by its whole name, else its app’s or the repository’s', async () => {
    assert.equal(await reason(push()), null)
    assert.match((await reason(push({ ref: 'refs/heads/feature/main' }))) ?? '', /follows the branch main/)
    assert.equal(await reason(push({ ref: 'refs/heads/a/b' }), { branch: 'a/b' }), null)
    assert.match(
      (await reason(push({ ref: 'refs/heads/b' }), { branch: 'a/b' })) ?? '',
      /follows the branch a\/b/,
    )
    assert.equal(await reason(push({ defaultBranch: 'main' }), { branch: null }), null)
    assert.match((await reason(push({ defaultBranch: 'trunk' }), { branch: null })) ?? '', /branch trunk/)
    const cloud = read(Forge.BITBUCKET, bitbucket('', [FACTS]).body, 'repo:push')
    assert.match((await reason(cloud, { branch: null })) ?? '', /set the branch of the app or the stage/)
    assert.equal(await reason(cloud), null)
  })

  test('tags where it follows tags, and then no branch', async () => {
    const tag = push({ ref: 'refs/tags/v1.2', message: 'release [skip ci]' })
    assert.match((await reason(tag)) ?? '', /a tag was pushed/)
    assert.equal(await reason(tag, { tags: 'v*' }), null)
    assert.match((await reason(tag, { tags: 'release-*' })) ?? '', /follows tags release-\*/)
    assert.match((await reason(push(), { tags: 'v*' })) ?? '', /follows tags/)
  })

  test('nothing that was deleted, nothing while it is stopped or not to deploy by itself', async () => {
    assert.match((await reason(push({ after: NONE }))) ?? '', /the branch was deleted/)
    assert.match((await reason(push(), { stopped: true })) ?? '', /stopped/)
    assert.match((await reason(push(), { autoDeploy: false })) ?? '', /autoDeploy/)
    assert.match((await reason(push({ before: sha(2) }))) ?? '', /tested the webhook/)
  })

  test('nothing whose commit says so', async () => {
    for (const marker of [
      '[skip ci]',
      '[CI Skip]',
      '[no ci]',
      '[skip deploy]',
      '[deploy skip]',
      '[skip-ci]',
    ]) {
      assert.match(
        (await reason(push({ message: `Docs\n\n${marker}` }))) ?? '',
        /its commit message has/,
        marker,
      )
    }
    for (const message of ['skip ci', '[skip cinema]', '[ci]', '(skip ci)']) {
      assert.equal(await reason(push({ message })), null, message)
    }
  })

  test('nothing below other paths than those it watches', async () => {
    assert.equal(await reason(push(), {}, ['apps/web/**']), null)
    assert.match((await reason(push(), {}, ['apps/api/**'])) ?? '', /watched paths/)
    assert.equal(await reason(push({ forced: true }), {}, ['apps/api/**']), null)
  })
})

describe('watched paths', () => {
  const cases: [patterns: string[], path: string, watched: boolean][] = [
    [['apps/web/**'], 'apps/web/a/b.ts', true],
    [['/apps/web/'], 'apps/web/a/.env', true],
    [['apps/web/**'], 'apps/website/a.ts', false],
    [['**/*.ts', '!**/*.test.ts'], 'a/b.ts', true],
    [['**/*.ts', '!**/*.test.ts'], 'a/b.test.ts', false],
    [['**', '!docs/**', 'docs/api.md'], 'docs/api.md', true],
    [['!docs/**'], 'docs/a.md', false],
    [['!docs/**'], 'src/a.ts', true],
    [['app/[id]/p?ge.*'], 'app/[id]/page.tsx', true],
    [['app/[id]/p?ge.*'], 'app/i/page.tsx', false],
    [['a/**/z/*.c'], 'a/b/z/z/x.c', true],
    [['a/**/z'], 'a/z', true],
    [['*a*b*'], 'xaxxbx', true],
    [['*a*b'], 'xaxxbx', false],
    [['*.md'], 'docs/a.md', false],
  ]
  for (const [patterns, path, watched] of cases) {
    test(`${patterns.join(' ')} ${watched ? 'has' : 'has not'} ${path}`, async () => {
      const checked = checkWatchPaths('watchPaths', patterns)
      assert.equal(await watchesAny(checked, [path], new StepBudget(1_000_000)), watched)
    })
  }

  test('that cannot be globs are refused by their place', () => {
    for (const bad of ['', '!', '/', 'a\\b', 'a\0b', '{a,b}', 'x'.repeat(201)]) {
      assert.throws(
        () => checkWatchPaths('watchPaths', ['a', bad]),
        (error) => error instanceof CommandError && error.field === 'watchPaths[1]',
        JSON.stringify(bad),
      )
    }
    assert.throws(() => checkWatchPaths('watchPaths', Array<string>(51).fill('a')), /more than 50/)
    assert.equal(checkGlob('tags', 'v*'), 'v*')
  })

  test('are compared soon, whatever stars they have', async () => {
    // Four stars took a library's regular expression seconds, twenty for ever.
    const patterns = ['*a'.repeat(90) + 'b', '**/*a/'.repeat(30) + 'x', '**/'.repeat(60) + 'x']
    const paths = ['a'.repeat(4_000), 'a/'.repeat(2_000)]
    for (const pattern of patterns)
      assert.ok(!(await watchesAny(checkWatchPaths('w', [pattern]), paths, new StepBudget(1_000_000))))
    const many = Array.from({ length: 50 }, (_, index) => `**/*${'*a'.repeat(90)}b${index}`)
    const long = Array.from({ length: 250 }, (_, index) => `${'a'.repeat(3_900)}b${index}`)
    assert.ok(!(await watchesAny(checkWatchPaths('w', many), long.slice(50), new StepBudget(1_000_000))))
    assert.ok(await watchesAny(checkWatchPaths('w', many), long, new StepBudget(1_000_000)))
  })

  test('do not keep a push back whose paths were made to be slow, and others have their turns', async () => {
    const texts = mixedTexts(190)
    const patterns = Array.from({ length: 50 }, () => `*a${texts.next().value.replaceAll('b', '?')}`)
    const paths = mixedTexts(4_000)
    const modified = Array.from({ length: 250 }, () => paths.next().value)
    let turns = 0
    let isDecided = false
    const count = () => {
      turns++
      if (!isDecided) setImmediate(count)
    }
    setImmediate(count)
    const stages = ['production', 'staging'].map((name) => ({ ...STAGE, name }))
    const choices = await decide(push({ modified }), stages, checkWatchPaths('watchPaths', patterns))
    isDecided = true
    const why = 'matching its paths against watchPaths takes too long, so watchPaths are ignored'
    assert.deepEqual(
      choices.map(({ stage, deploys, reason: said }) => [stage, deploys, said]),
      [
        ['production', true, why],
        ['staging', true, why],
      ],
    )
    assert.ok(turns >= 100, `${turns}`)
  })
})

describe('the branch that a stage follows', () => {
  test('has any name that git takes, and is also found by half a full name', async () => {
    for (const name of ['größe', 'fix(ui)', 'a&b', 'feature/日本']) {
      assert.equal(await reason(push({ ref: `refs/heads/${name}` }), { branch: name }), null, name)
    }
    assert.equal(await reason(push(), { branch: 'heads/main' }), null)
    assert.equal(await reason(push(), { branch: 'heads/other' }), 'it follows the branch heads/other')
    assert.equal(await reason(push({ ref: 'refs/heads/heads/main' }), { branch: 'heads/main' }), null)
  })
})
