import { KnownHost } from '../../entities/known-host.js'
import type { DataSource } from 'typeorm'
import type { KnownHosts } from '../git/host-keys.js'

/** Kept in the database, for all workers: the first that sees a host decides. */
export function createKnownHosts(database: DataSource): KnownHosts {
  const rows = () => database.getRepository(KnownHost)
  return {
    find: async (host) => (await rows().findOneBy({ host }))?.publicKey ?? null,
    record: async (host, publicKey) => {
      await rows().createQueryBuilder().insert().values({ host, publicKey }).orIgnore().execute()
      return (await rows().findOneByOrFail({ host })).publicKey
    },
  }
}

/** Forgets the keys of a host, on whatever port: the next fetch trusts the one that it finds. Gives their names. */
export async function forgetHost(database: DataSource, host: string): Promise<string[]> {
  const [gone] = await database.query<[{ host: string }[], number]>(
    `DELETE FROM known_host WHERE host = $1 OR starts_with(host, '[' || $1 || ']:') RETURNING host`,
    [host.toLowerCase()],
  )
  return gone.map((row) => row.host)
}
