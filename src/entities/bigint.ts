/** PostgreSQL's bigint as a number: every one of ours stays far below 2^53. */
export const bigintAsNumber = {
  to: (value: number | null) => value,
  from: (value: string | null) => (value === null ? null : Number(value)),
}
