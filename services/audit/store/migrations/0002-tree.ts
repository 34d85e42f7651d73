import { Migration } from '@mikro-orm/migrations'
import { appendLeaf, rootOf, type Range } from '#lib/tlog/merkle.ts'

const ROLE = 'modelkeep_audit'
const TILE_WIDTH = 256
/** Full tiles made at a time. */
const TILES_AT_ONCE = 64

export class M0002Tree extends Migration {
  override async up(): Promise<void> {
    for (const statement of TABLES) await this.execute(statement)
    await this.#plant()
    for (const statement of [...GUARDS, ...GRANTS]) await this.execute(statement)
  }

  /** The tree of the entries that are there. Nothing is appended meanwhile: the head row is locked. */
  async #plant(): Promise<void> {
    const [head] = (await this.execute('select size from log_head for update')) as { size: string }[]
    const range: Range = { size: 0, peaks: [] }
    const open = new Map<number, Buffer[]>()
    while (range.size < Number(head!.size)) {
      const rows = (await this.execute('select leaf_hash from entry where index >= ? order by index limit ?', [
        range.size,
        TILES_AT_ONCE * TILE_WIDTH,
      ])) as { leaf_hash: Buffer }[]
      if (rows.length === 0) throw new Error(`the log has ${range.size} entries where its head says ${head!.size}`)
      for (const { leaf_hash: leafHash } of rows) await this.#add(range, leafHash, open)
    }
    for (const [level, hashes] of open) {
      if (hashes.length % TILE_WIDTH === 0) continue
      const index = Math.floor(range.size / TILE_WIDTH ** (level + 1))
      await this.#insertTile(level, index, hashes)
    }
    const peaks = Buffer.concat(range.peaks)
    await this.execute('update log_head set peaks = ?, root = ?', [peaks, rootOf(range)])
    await this.execute('alter table log_head alter column peaks set not null, alter column root set not null')
  }

  async #add(range: Range, leafHash: Buffer, open: Map<number, Buffer[]>): Promise<void> {
    const full: { level: number; index: number; hashes: Buffer[] }[] = []
    appendLeaf(range, leafHash, ({ level, index }, hash) => {
      if (level % 8 !== 0) return
      const hashes = open.get(level / 8) ?? []
      open.set(level / 8, hashes)
      hashes.push(hash)
      if (hashes.length < TILE_WIDTH) return
      full.push({ level: level / 8, index: Math.floor(index / TILE_WIDTH), hashes })
      open.delete(level / 8)
    })
    for (const { level, index, hashes } of full) await this.#insertTile(level, index, hashes)
  }

  async #insertTile(level: number, index: number, hashes: Buffer[]): Promise<void> {
    await this.execute('insert into tile (level, index, hashes) values (?, ?, ?)', [
      level,
      index,
      Buffer.concat(hashes),
    ])
  }
}

const TABLES = [
  `alter table log_head add column peaks bytea, add column root bytea`,
  `create table tile (
    level int not null,
    index bigint not null,
    hashes bytea not null,
    constraint tile_pkey primary key (level, index),
    constraint tile_full_check check (octet_length(hashes) <= 8192),
    constraint tile_whole_check check (octet_length(hashes) % 32 = 0)
  )`,
  // Hashes cannot be compressed.
  `alter table tile alter column hashes set storage external`,
  `create table checkpoint (
    size bigint not null,
    key_id text not null,
    root bytea not null,
    note text not null,
    sign_time timestamptz(6) not null,
    constraint checkpoint_pkey primary key (size, key_id)
  )`,
]

const GUARDS = [
  // Rejects writers from before this migration, which do not extend the tree.
  `create or replace function log_head_grows() returns trigger language plpgsql as $$
    begin
      if new.id is distinct from old.id or new.size < old.size then raise exception 'the log never shrinks'; end if;
      if (new.size = old.size) <> (new.root = old.root and new.peaks = old.peaks) then
        raise exception 'the tree grows with the log';
      end if;
      return new;
    end $$`,
  `create function tile_grows() returns trigger language plpgsql as $$
    begin
      if new.level is distinct from old.level or new.index is distinct from old.index
        or substring(new.hashes for octet_length(old.hashes)) is distinct from old.hashes then
        raise exception 'a tile is only ever added to';
      end if;
      return new;
    end $$`,
  `create trigger tile_grows before update on tile for each row execute function tile_grows()`,
  `create trigger tile_kept before delete on tile for each row execute function log_immutable()`,
  `create trigger checkpoint_immutable before update or delete on checkpoint
    for each row execute function log_immutable()`,
  ...['tile', 'checkpoint'].map(
    (table) =>
      `create trigger ${table}_truncate before truncate on ${table}
        for each statement execute function log_immutable()`,
  ),
]

const GRANTS = [`grant select, insert, update on tile to ${ROLE}`, `grant select, insert on checkpoint to ${ROLE}`]
