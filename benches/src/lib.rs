//! What Assay costs, as questions: `micro/` asks them of one stage each (`verify`, `decide`, `inject`), `run` of the
//! whole gateway beside its peers. Figures, machine and commands stand in `README.md`.
