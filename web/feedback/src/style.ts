/** The component's look. `light-dark()` follows the page's own `color-scheme`; every colour can be replaced. */
export const STYLE = `
:host {
  --_ink: var(--flywheel-ink, light-dark(#1b2127, #e9edf1));
  --_soft: var(--flywheel-soft, light-dark(#545e69, #a9b4bf));
  --_paper: var(--flywheel-paper, transparent);
  --_line: var(--flywheel-line, light-dark(#84909c, #6d7986));
  --_accent: var(--flywheel-accent, light-dark(#0b57c2, #8ab8ff));
  --_on-accent: var(--flywheel-on-accent, light-dark(#fff, #0b1420));
  --_star: var(--flywheel-star, light-dark(#a55b00, #ffc857));
  --_radius: var(--flywheel-radius, .5rem);
  display: block; max-width: var(--flywheel-width, 28rem); color: var(--_ink); background: var(--_paper);
  font: var(--flywheel-font, 1rem/1.45 system-ui, sans-serif); overflow-wrap: anywhere;
}
:host([hidden]) { display: none }
* { box-sizing: border-box; font: inherit; color: inherit }
form { display: grid; gap: .75rem }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0 }
legend, .name { padding: 0; margin: 0 0 .35rem; font-weight: 600; display: block }
p { margin: 0 } .soft { color: var(--_soft) }
.row { display: flex; flex-wrap: wrap; gap: .5rem }
input[type=radio] { position: absolute; opacity: 0; width: 1px; height: 1px }
label.choice { position: relative; display: inline-flex; align-items: center; gap: .4rem; min-height: 2.75rem;
  padding: .4rem .8rem; border: 1px solid var(--_line); border-radius: var(--_radius); cursor: pointer }
label.choice:has(:checked) { border-color: var(--_accent); box-shadow: inset 0 0 0 1px var(--_accent); color: var(--_accent) }
label.star { position: relative; display: inline-grid; place-items: center; width: 2.75rem; height: 2.75rem; cursor: pointer; color: var(--_line) }
label.star.on { color: var(--_star) }
label:has(:focus-visible), :focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; border-radius: var(--_radius) }
svg { width: 1.4rem; height: 1.4rem; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; flex: none }
.on svg { fill: currentColor }
textarea, select, input[type=number] { width: 100%; padding: .5rem .6rem; border: 1px solid var(--_line); border-radius: var(--_radius);
  background: transparent; resize: vertical }
select option { color: light-dark(#1b2127, #e9edf1); background: light-dark(#fff, #171b20) }
button { justify-self: start; min-height: 2.75rem; padding: .4rem 1.1rem; border: 1px solid transparent; border-radius: var(--_radius);
  background: var(--_accent); color: var(--_on-accent); font-weight: 600; cursor: pointer }
[hidden] { display: none }
@media (forced-colors: active) { label.choice:has(:checked) { outline: 2px solid } }
`;
