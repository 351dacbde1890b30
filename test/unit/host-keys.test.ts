import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fingerprintOf, FORGES } from '../../src/engine/git/host-keys.js'

/** As the forges publish them: docs.github.com, docs.gitlab.com, support.atlassian.com, docs.codeberg.org. */
const PUBLISHED = {
  'github.com': 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU',
  'gitlab.com': 'SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8',
  'bitbucket.org': 'SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM',
  'codeberg.org': 'SHA256:mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g',
}

test('the host keys that are built in are those that the forges publish', () => {
  const fingerprints = Object.entries(FORGES).map(([host, key]) => [host, fingerprintOf(key)])
  assert.deepEqual(Object.fromEntries(fingerprints), PUBLISHED)
})
