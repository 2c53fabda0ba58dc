// Which keys start which action of one screen: its built-in table, with the person's own keys over
// it. What is a person's own is kept on the server for all screens together, each action under a
// name that no other screen has.

export type Own = Readonly<Record<string, readonly string[]>>;

export interface Row {
  keys: readonly string[];
  action: string;
  label: string;
  /** Not to be changed: its keys are on the screen as labels. */
  fixed?: boolean;
}

interface Rules<K extends Row> {
  /** What the server keeps an action under. */
  nameOf(row: K): string;
  /** Both can be meant by one stroke: it cannot start both. */
  meet(a: K, b: K): boolean;
}

export class KeyTable<K extends Row> {
  constructor(
    private readonly table: () => readonly K[],
    private readonly own: () => Own,
    private readonly rules: Rules<K>,
  ) {}

  get rows(): readonly K[] {
    return this.table();
  }

  private row(action: string): K | undefined {
    return this.rows.find((row) => row.action === action);
  }

  private strokes(row: K): readonly string[] {
    return this.own()[this.rules.nameOf(row)] ?? row.keys;
  }

  keysOf(action: string): readonly string[] {
    const row = this.row(action);
    return row ? this.strokes(row) : [];
  }

  /** An action's first key as it stands on the board; "" where it has none. */
  keyFor(action: string): string {
    return strokeWords(this.keysOf(action)[0] ?? "");
  }

  /** What a stroke starts, among the actions that can be meant now. */
  actionOf(stroke: string, meant: (row: K) => boolean = () => true): string | undefined {
    return this.rows.find((row) => meant(row) && this.strokes(row).includes(stroke))?.action;
  }

  labelOf(action: string): string {
    return this.row(action)?.label ?? action;
  }

  isOwn(action: string): boolean {
    const row = this.row(action);
    return row !== undefined && this.rules.nameOf(row) in this.own();
  }

  /** The other action that a stroke starts, where both can be meant. */
  rivalOf(action: string, stroke: string): K | undefined {
    return this.rivals(action, stroke)[0];
  }

  private rivals(action: string, stroke: string): K[] {
    const row = this.row(action);
    if (!row) return [];
    return this.rows.filter(
      (one) => one !== row && this.rules.meet(one, row) && this.strokes(one).includes(stroke),
    );
  }

  /** All own keys after one action was given one key, which is taken from whoever had it. */
  withKey(action: string, stroke: string): Own {
    const row = this.row(action);
    if (!row) return this.own();
    const { nameOf } = this.rules;
    const next: Record<string, readonly string[]> = { ...this.own(), [nameOf(row)]: [stroke] };
    for (const rival of this.rivals(action, stroke)) {
      next[nameOf(rival)] = this.strokes(rival).filter((key) => key !== stroke);
    }
    return next;
  }

  /** All own keys with one action's built-in keys back, as far as no rival has them. */
  withoutOwn(action: string): Own {
    const row = this.row(action);
    if (!row) return this.own();
    const name = this.rules.nameOf(row);
    const { [name]: _gone, ...rest } = this.own();
    const free = row.keys.filter((key) => !this.rivals(action, key).some((one) => this.holds(one)));
    return free.length === row.keys.length ? rest : { ...rest, [name]: free };
  }

  private holds(row: K): boolean {
    return this.rules.nameOf(row) in this.own();
  }

  /** All own keys without those of this screen. */
  withoutAll(): Own {
    const names = new Set(this.rows.map((row) => this.rules.nameOf(row)));
    return Object.fromEntries(Object.entries(this.own()).filter(([name]) => !names.has(name)));
  }
}

const WORDS: Readonly<Record<string, string>> = {
  arrowup: "↑",
  arrowdown: "↓",
  arrowleft: "←",
  arrowright: "→",
  escape: "Esc",
  space: "Space",
  enter: "Enter",
};

/** A stroke as it stands on the board: "ctrl+z" → "Ctrl Z", "shift+e" → "⇧E". */
export function strokeWords(stroke: string): string {
  const parts = stroke === "+" ? ["+"] : stroke.split("+");
  const key = parts.pop() ?? "";
  const held = parts.map(
    (part) => ({ shift: "⇧", ctrl: "Ctrl ", meta: "⌘", alt: "Alt " })[part] ?? `${part} `,
  );
  return held.join("") + (WORDS[key] ?? key.toUpperCase());
}
